//! `croloss export`.

use std::path::PathBuf;

use anyhow::Result;

use super::table;
use crate::export::Export as Written;
use crate::folders::Claim;
use crate::train::TrainedRun;

/// Write a run's towers as TorchScript, its item vectors, and how to use them
#[derive(clap::Args)]
pub struct Export {
    /// A run folder that `croloss train` made
    run: PathBuf,
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    /// Replace the folder if it exists
    #[arg(long)]
    force: bool,
}

impl Export {
    pub fn run(self) -> Result<()> {
        let claim = Claim::new(&self.out, self.force, &Written::FOLDER)?;
        let run = TrainedRun::open(&self.run, &[])?;
        let model = run.model(&run.context()?)?;
        Written::write(&model, &run.config, &run.dataset, claim)?;
        table::say(format_args!("Export: {}; its README.md says how to use it", self.out.display()))
    }
}
