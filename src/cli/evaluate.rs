//! `croloss evaluate`.

use std::iter::once;
use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::choice::one_of;
use super::device::note_missing_gpu;
use super::known_baselines::{self, KnownBaselines};
use super::progress::Bar;
use super::results::{self, MetricRow};
use super::table;
use crate::data::Split;
use crate::train::{Event, TrainedRun};

/// Rank the catalogue with a run's best weights and measure
#[derive(clap::Args)]
pub struct Evaluate {
    /// A run folder that `croloss train` made
    run: PathBuf,
    /// The users that are ranked for
    #[arg(long, value_parser = one_of(&Split::ALL, Split::name, |_| ""), default_value = "test")]
    split: Split,
    /// The list lengths N of every metric, in place of the run's evaluation.at: --at 10,20
    #[arg(long, value_name = "N", value_delimiter = ',')]
    at: Vec<NonZeroU32>,
    /// Put a value in place of the run's: --set evaluation.seen=exclude (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let mut sets = self.sets;
        if !self.at.is_empty() {
            let at: Vec<u32> = self.at.iter().map(|n| n.get()).collect();
            sets.push(format!("evaluation.at={at:?}"));
        }
        let run = TrainedRun::open(&self.run, &sets)?;
        let part = self.split;
        note_missing_gpu(run.config.device);
        let context = run.context()?;
        let model = run.model(&context)?;
        let counts = run.dataset.training_counts();
        let users = run.dataset.users_of(part).len() as u64;
        let mut bar = Bar::new(users, format!("ranking for {} users", part.name()));
        let metrics = context.evaluate(&model, part, &mut |event| {
            if let Event::Ranking { done, .. } = event {
                bar.set(done);
            }
        })?;
        drop(bar);
        let mut bar = None;
        let lists = context.lists(&model, part, &counts, &mut |event| {
            if let Event::Ranking { done, users, .. } = event {
                let start = || Bar::new(users, format!("listing for {} users", part.name()));
                bar.get_or_insert_with(start).set(done);
            }
        })?;
        drop(bar);
        let cold = match part {
            Split::Test => context.cold(&model, &mut |_| {})?,
            Split::Train | Split::Validation => None,
        };
        let row = MetricRow { name: part.name().into(), metrics: metrics.means(), cold };
        let words = run.config.protocol_in_words();
        let groups = metrics.groups(&counts);
        if self.json {
            let mut all = serde_json::to_value(&row)?;
            all["protocol"] = json!(words);
            all["unrankable"] = json!(metrics.unrankable());
            all["groups"] = json!(groups);
            all["lists"] = json!(lists);
            return table::say_json(&all);
        }
        let counts = [metrics.users(), metrics.targets(), metrics.unrankable()];
        results::say_measured(part, counts, &words)?;
        let asked = known_baselines::asked(&run.config, part);
        let (data, checksum) = (&run.config.data.path, &run.dataset.manifest.checksum);
        let known = KnownBaselines::of(data, checksum, asked);
        let rows: Vec<MetricRow> = once(row).chain(known.rows(true)).collect();
        results::print(&rows)?;
        results::print_groups(&groups)?;
        let own = once((part.name().to_owned(), &lists));
        results::print_lists(&own.chain(known.lists()).collect::<Vec<_>>())?;
        if let Some(cold) = &rows[0].cold {
            results::print_cold(cold)?;
        }
        known.say_verdict(data, run.config.train.monitor, &rows[0].metrics)
    }
}
