//! `croloss report`.

use std::path::PathBuf;

use anyhow::Result;

use super::sweep::{Chosen, runs_folder};
use super::table;
use crate::data::Manifest;
use crate::misuse;
use crate::report::{self, DatasetSummary, Provenance};
use crate::sweep::{SweepFile, collect};

/// Write a sweep's tables, figures, tests of the paper's claims, and one page to read
#[derive(clap::Args)]
pub struct Report {
    /// The sweep file, for example experiments/amazon-beauty.toml
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Where the report is written [default: the folder beside the sweep file, of its name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Report {
    pub fn run(self) -> Result<()> {
        let sweep = SweepFile::load(&self.file, &self.chosen.sets)?;
        let points = sweep.points()?;
        let runs = runs_folder(self.chosen.runs, &sweep);
        let results = collect(&points, &runs)?;
        if results.iter().all(|point| point.result().is_none()) {
            misuse!("{} holds no result of this sweep: run croloss sweep first", runs.display());
        }
        let mut folders: Vec<_> = points.iter().map(|point| &point.config.data.path).collect();
        folders.dedup();
        let [folder] = folders[..] else {
            misuse!("{}: a report is about one dataset", self.file.display());
        };
        let dataset = Manifest::load(folder)?;
        let out = self.out.unwrap_or_else(|| self.file.with_extension(""));
        let provenance = Provenance {
            sweep: sweep.name(),
            file: self.file.display().to_string(),
            command: format!("croloss sweep {0} && croloss report {0}", self.file.display()),
            dataset: DatasetSummary {
                name: dataset.name,
                generated: dataset.generated,
                counts: dataset.counts,
            },
            machine: report::machine(),
            commit: env!("CROLOSS_COMMIT").into(),
            date: report::today(),
        };
        let written = report::write(&provenance, &results, &out)?;
        let page = written.last().unwrap_or(&out);
        table::say(format_args!("Report of {} points: {}", results.len(), page.display()))
    }
}
