use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Deserialize;

use super::results::{self, Row};
use super::run_progress::RunProgress;
use super::table;
use crate::config;
use crate::data::{Dataset, Split};
use crate::misuse;
use crate::train::{RunFolder, Session};

/// Rank the catalogue with a run's best weights and measure
#[derive(clap::Args)]
pub struct Evaluate {
    /// A run folder that `croloss train` made
    run: PathBuf,
    /// The users that are ranked for
    #[arg(long, value_enum, default_value = "test")]
    split: Part,
    /// Put a value in place of the run's: --set evaluation.seen=exclude (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Train,
    Validation,
    Test,
}

/// What `run.json` says of the data that the run was trained on.
#[derive(Deserialize)]
struct Trained {
    checksum: String,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let run = RunFolder::open(&self.run)?;
        let config = config::load(&run.config_path(), &self.sets)?;
        let dataset = Dataset::load(&config.data.path)
            .with_context(|| format!("data.path in {}", run.config_path().display()))?;
        let trained: Trained = run.read_json("run.json")?;
        if trained.checksum != dataset.manifest.checksum {
            misuse!(
                "{} is not the dataset that {} was trained on: their checksums differ",
                config.data.path.display(),
                self.run.display()
            );
        }
        let part = match self.split {
            Part::Train => Split::Train,
            Part::Validation => Split::Validation,
            Part::Test => Split::Test,
        };
        let session = Session::new(&config, &dataset)?;
        let model = session.model();
        model.load(&run.weights_path())?;
        let mut progress = RunProgress::new(0);
        let metrics = session.evaluate(&model, part, &mut |event| progress.hear(event))?;
        progress.finish();
        let row = Row { name: part.name().into(), metrics: metrics.means() };
        if self.json {
            return table::say(serde_json::to_string_pretty(&row)?);
        }
        table::say(format_args!("{} users of the {} part\n", metrics.users(), part.name()))?;
        results::print(&[row])
    }
}
