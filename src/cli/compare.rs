//! `croloss compare`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::known_baselines::{self, KnownBaselines};
use super::results::{self, MetricRow};
use super::table;
use crate::data::Split;
use crate::misuse;
use crate::train::RunFolder;

/// Print the test results of several runs in one table
#[derive(clap::Args)]
pub struct Compare {
    /// Run folders whose training has ended
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub fn run(self) -> Result<()> {
        let row = |path: &PathBuf| {
            let run = RunFolder::open(path)?;
            let result = run.result()?;
            if result.test.is_empty() {
                misuse!(
                    "nothing was measured in {}: its dataset is all training (split.by = \"none\")",
                    path.display()
                );
            }
            let name = path.file_name().filter(|_| !self.shares_name(path));
            let name = name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let words = run.config(&[])?.protocol_in_words();
            Ok((MetricRow { name, metrics: result.test, cold: result.test_cold }, words))
        };
        let rows = self.runs.iter().map(row).collect::<Result<Vec<_>>>()?;
        let (mut rows, words): (Vec<MetricRow>, Vec<String>) = rows.into_iter().unzip();
        let known = self.known()?;
        rows.extend(known.iter().flat_map(|(_, known)| known.rows(false)));
        if self.json {
            return table::say_json(&rows);
        }
        match words.windows(2).all(|pair| pair[0] == pair[1]) {
            true => table::say(&words[0])?,
            false => {
                for (row, words) in rows.iter().zip(&words) {
                    table::say(format_args!("{}: {words}", row.name))?;
                }
            }
        }
        table::say("")?;
        results::print(&rows)?;
        results::print_cold_of_rows(&rows[..words.len()])?;
        match known {
            Some((data, known)) => known.say_how(&data),
            None => Ok(()),
        }
    }

    /// Whether another run's folder is called the same.
    fn shares_name(&self, path: &Path) -> bool {
        self.runs.iter().filter(|other| other.file_name() == path.file_name()).count() > 1
    }

    /// The baselines of the runs' dataset, and its folder, if all of them are tested alike.
    fn known(&self) -> Result<Option<(PathBuf, KnownBaselines)>> {
        let test = |path: &PathBuf| {
            let run = RunFolder::open(path)?;
            let config = run.config(&[])?;
            let asked = known_baselines::asked(&config, Split::Test);
            Ok((run.info()?.checksum, asked, config.data.path))
        };
        let tests = self.runs.iter().map(test).collect::<Result<Vec<_>>>()?;
        if tests.iter().any(|(checksum, ..)| *checksum != tests[0].0) {
            table::warn(
                "warning: these runs are of different data sets: what they find compares only where \
                 the users and items are the same",
            );
        }
        let alike =
            tests.windows(2).all(|pair| (&pair[0].0, &pair[0].1) == (&pair[1].0, &pair[1].1));
        Ok(tests.into_iter().next().filter(|_| alike).map(|(checksum, asked, data)| {
            let known = KnownBaselines::of(&data, &checksum, asked);
            (data, known)
        }))
    }
}
