//! `croloss report`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::known_baselines::{self, KnownBaselines};
use super::sweep::{Chosen, one_dataset, runs_folder};
use super::{table, tune};
use crate::data::{Manifest, Split};
use crate::misuse;
use crate::report::{self, DatasetSummary, Provenance};
use crate::sweep::{Point, SweepFile, collect};
use crate::tune::Record;

/// Write a sweep's tables and figures, and one page to read
///
/// It leads with the case that is best in validation; of the papers' data, with the papers' tables
/// and claims.
#[derive(clap::Args)]
pub struct Report {
    /// The sweep file, for example experiments/amazon-beauty.toml; or the folder of a croloss tune,
    /// whose report is written anew
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Where the report is written [default: the folder beside the sweep file, of its name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The papers' claims and tables too, though the data are not theirs
    #[arg(long)]
    claims: bool,
}

impl Report {
    pub fn run(self) -> Result<()> {
        if Record::is_there(&self.file) {
            return tune::report(&self.file, false);
        }
        let out = self.out.unwrap_or_else(|| self.file.with_extension(""));
        report::refuse_foreign(&out)?;
        let sweep = SweepFile::load(&self.file, &self.chosen.sets)?;
        let points = sweep.points()?;
        let runs = runs_folder(self.chosen.runs, &sweep);
        let results = collect(&points, &runs)?;
        if results.iter().all(|point| point.result().is_none()) {
            misuse!("{} holds no result of this sweep: run croloss sweep first", runs.display());
        }
        let folder = one_dataset(&self.file, &points)?;
        let dataset = Manifest::load(folder)?;
        let known = known(&points, folder, &dataset.checksum);
        let claims = if self.claims { " --claims" } else { "" };
        let provenance = Provenance {
            sweep: sweep.name(),
            file: self.file.display().to_string(),
            command: format!(
                "croloss sweep {0} && croloss report {0}{claims}",
                self.file.display()
            ),
            dataset: DatasetSummary {
                name: dataset.name,
                generated: dataset.generated,
                counts: dataset.counts,
                baselines: known.as_ref().map_or(vec![], |known| known.results().to_vec()),
            },
            claims: self.claims,
            machine: report::machine(),
            commit: env!("CROLOSS_COMMIT").into(),
            date: report::today(),
        };
        let written = report::write(&provenance, &results, &out)?;
        let page = written.last().unwrap_or(&out);
        table::say(format_args!("Report of {} points: {}", results.len(), page.display()))?;
        match known {
            Some(known) => known.say_how(folder),
            None => Ok(()),
        }
    }
}

/// The baselines of the dataset folder, if all points are tested alike.
fn known(points: &[Point], folder: &Path, checksum: &str) -> Option<KnownBaselines> {
    let mut asked = points.iter().map(|point| known_baselines::asked(&point.config, Split::Test));
    let first = asked.next()?;
    asked.all(|other| other == first).then(|| KnownBaselines::of(folder, checksum, first))
}
