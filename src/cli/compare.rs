//! `croloss compare`.

use std::path::PathBuf;

use anyhow::Result;

use super::results::{self, MetricRow};
use crate::misuse;
use crate::train::RunFolder;

/// Print the test results of several runs in one table
#[derive(clap::Args)]
pub struct Compare {
    /// Run folders whose training has ended
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

impl Compare {
    pub fn run(self) -> Result<()> {
        let row = |path: &PathBuf| {
            let result = RunFolder::open(path)?.result()?;
            if result.test.is_empty() {
                misuse!(
                    "nothing was measured in {}: its dataset is all training (split.by = \"none\")",
                    path.display()
                );
            }
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok(MetricRow { name, metrics: result.test })
        };
        results::print(&self.runs.iter().map(row).collect::<Result<Vec<_>>>()?)
    }
}
