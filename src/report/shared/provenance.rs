//! Where a report's figures come from.

use std::collections::BTreeSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::baseline::KeptResult;
use crate::data::Counts;
use crate::sweep::PointResult;
use crate::train::RunResult;

/// The sweep that a report is about, and how the report was made.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The sweep's name: the report's title.
    pub sweep: String,
    /// The sweep file, as the user wrote it.
    pub file: String,
    /// The command that made the report.
    pub command: String,
    pub dataset: DatasetSummary,
    /// Whether the papers' claims are asked for, whatever the data are.
    pub claims: bool,
    /// The machine, see [`machine`].
    pub machine: String,
    /// The program's commit.
    pub commit: String,
    /// Year, month and day, see [`today`].
    pub date: String,
}

/// What a report says about its data.
#[derive(Clone, Debug)]
pub struct DatasetSummary {
    /// Its name: published figures are shown beside `amazon-books` and `taobao`.
    pub name: String,
    /// Whether a program made the data up. Said wherever figures stand.
    pub generated: bool,
    pub counts: Counts,
    /// What is kept of baselines under the evaluation that all points share, on the test part.
    pub baselines: Vec<KeptResult>,
}

/// The names of the data sets, of those that `datasets/` describes, that the papers measure on or
/// that their claims are tested on here.
pub const PAPERS_DATA: [&str; 7] = [
    "amazon-beauty",
    "amazon-books",
    "diginetica",
    "diginetica-sessions",
    "otto",
    "taobao",
    "yoochoose",
];

impl DatasetSummary {
    /// Whether its report is about the papers: by its name, or because it stands in for their data.
    pub(in crate::report) fn is_of_papers(&self) -> bool {
        self.generated || PAPERS_DATA.contains(&self.name.as_str())
    }

    /// A sentence with a space before it, or nothing for data from life.
    pub(in crate::report) fn generated_note(&self) -> &'static str {
        if self.generated {
            " GENERATED data: these figures say nothing about real users."
        } else {
            ""
        }
    }
}

impl Provenance {
    /// How the report and its points were made, as names and values.
    pub(in crate::report) fn made(&self, points: &[PointResult]) -> Vec<(&'static str, String)> {
        let results = || points.iter().filter_map(PointResult::result);
        let distinct = |of: fn(&RunResult) -> String| -> String {
            results().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
        };
        let counts = &self.dataset.counts;
        let hours: f64 = results().map(|o| o.seconds).sum::<f64>() / 3600.0;
        let kind = if self.dataset.generated { " (GENERATED data)" } else { "" };
        let mut all = vec![
            (
                "data",
                format!(
                    "{}{kind}: {} users ({} train, {} validation, {} test), {} items, {} interactions",
                    self.dataset.name,
                    thousands(counts.users),
                    thousands(counts.train_users),
                    thousands(counts.validation_users),
                    thousands(counts.test_users),
                    thousands(counts.items),
                    thousands(counts.interactions)
                ),
            ),
            ("sweep file", self.file.clone()),
            ("command", self.command.clone()),
        ];
        if results().next().is_some() {
            let runs = distinct(|o| format!("{} with {} threads", o.device, o.threads));
            all.push(("runs", format!("{runs}; {hours:.1} hours in all")));
            all.push(("runs' version", distinct(|o| format!("{} ({})", o.version, o.commit))));
        }
        all.push(("report", format!("{} on {}, commit {}", self.date, self.machine, self.commit)));
        all
    }
}

/// A number with its thousands apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups.iter().map(|g| String::from_utf8_lossy(g).into_owned()).collect::<Vec<_>>().join(",")
}

/// The CPU's model and how many cores there are, as far as the system tells.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = line.and_then(|rest| Some(rest.split_once(':')?.1.trim())).unwrap_or("unknown CPU");
    format!("{model}, {cores} cores")
}

/// Today's date in UTC: `2026-01-31`.
pub fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date_of((now.as_secs() / 86_400) as i64)
}

/// The Gregorian date of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn date_of(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * part + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn dates_around_leap_days() {
        let known = [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_818, "2026-12-31"),
        ];
        for (day, date) in known {
            assert_eq!(date_of(day), date);
        }
    }

    #[test]
    fn the_papers_data_are_described_and_named_in_the_docs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(root.join("docs/sweeps.md")).unwrap();
        for name in PAPERS_DATA {
            let description = root.join("datasets").join(name).with_extension("toml");
            let text = fs::read_to_string(description).unwrap();
            assert!(text.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([7, 353_962, 1_000].map(thousands), ["7", "353,962", "1,000"]);
        assert!(machine().contains("cores"));
    }
}
