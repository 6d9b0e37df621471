use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use super::results::{self, Row};
use crate::config::Metric;
use crate::train::RunFolder;

/// Print the test results of several runs in one table
#[derive(clap::Args)]
pub struct Compare {
    /// Run folders whose training has ended
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

/// The part of `result.json` that is compared.
#[derive(Deserialize)]
struct Tested {
    test: BTreeMap<Metric, f64>,
}

impl Compare {
    pub fn run(self) -> Result<()> {
        let row = |path: &PathBuf| {
            let tested: Tested = RunFolder::open(path)?.read_json("result.json")?;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok(Row { name, metrics: tested.test.into_iter().collect() })
        };
        results::print(&self.runs.iter().map(row).collect::<Result<Vec<_>>>()?)
    }
}
