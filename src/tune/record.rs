//! `tune.json`: what a search is about, in its folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::Metric;
use crate::files;
use crate::formats::{self, Version, Versioned};
use crate::misuse;
use crate::sweep::{Point, folder_name};
use crate::train::RunFolder;

const NAME: &str = "tune.json";

/// What is searched for, and the runs that belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    #[serde(default = "Version::first")]
    format: Version,
    /// What the best is looked for by.
    pub metrics: Vec<Metric>,
    /// The points of the search, in the order in which they are begun.
    pub search: Vec<Entry>,
    /// The best by each of the metrics and what it is compared with, under several seeds, once they
    /// are known.
    #[serde(default)]
    pub finals: Vec<Vec<Entry>>,
}

/// A point, whose configuration stands in its run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub case: String,
    pub id: String,
}

impl Entry {
    pub fn of(point: &Point) -> Self {
        let Point { name, case, id, .. } = point.clone();
        Self { name, case, id }
    }

    /// Its run folder in that of the search, `folder`.
    pub fn run(&self, folder: &Path) -> PathBuf {
        folder.join(folder_name(&self.name, &self.id))
    }

    /// The point, if it has been begun in `folder`.
    pub fn point(&self, folder: &Path) -> Option<Point> {
        let Self { name, case, id } = self.clone();
        let run = RunFolder::open(&self.run(folder)).ok()?;
        Some(Point { name, case, id, grids: vec!["tune".into()], config: run.config(&[]).ok()? })
    }
}

impl Record {
    /// Of a search for the best by `metrics`, whose best are not known yet.
    pub fn new(metrics: Vec<Metric>, search: Vec<Entry>) -> Self {
        Self { format: formats::SEARCH, metrics, search, finals: vec![] }
    }

    /// Whether a search stands in `folder`.
    pub fn is_there(folder: &Path) -> bool {
        folder.join(NAME).is_file()
    }

    /// # Errors
    /// Names the file that is missing or broken.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let broken = || format!("{} is broken", path.display());
        // Early searches do not tell.
        if let Ok(Versioned { format }) = serde_json::from_str(&text) {
            let what = format!("the search {}", folder.display());
            formats::SEARCH.reads(format, what, "go on with it by the program that wrote it")?;
        }
        serde_json::from_str(&text).with_context(broken)
    }

    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write_file(&folder.join(NAME), serde_json::to_string_pretty(self)? + "\n")
    }

    /// Begins the search in `folder`, or goes on with it: with more points than before, or fewer.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where another search stands there, or anything else.
    pub fn open(&self, folder: &Path) -> Result<()> {
        if !folder.exists() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        } else if !Self::is_there(folder) {
            let mut entries = folder
                .read_dir()
                .with_context(|| format!("{} is not a folder", folder.display()))?;
            if entries.next().is_some() {
                misuse!(
                    "{} is there and holds no search: choose another place with --out",
                    folder.display()
                );
            }
        }
        let mut own = self.clone();
        if Self::is_there(folder) {
            let there = Self::read(folder)?;
            let common = there.search.len().min(self.search.len());
            let differs = match there.metrics == self.metrics {
                false => "other metrics",
                true if there.search[..common] != self.search[..common] => {
                    "other points: the configuration, the space, the dataset or the seed differs"
                }
                true => "",
            };
            if !differs.is_empty() {
                misuse!(
                    "{} holds another search ({differs}): choose another place with --out",
                    folder.display()
                );
            }
            own.finals = there.finals;
        }
        own.write(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(metric: &str, ids: &[&str]) -> Record {
        let entry = |id: &&str| Entry { name: "n".into(), case: "c".into(), id: id.to_string() };
        let search = ids.iter().map(entry).collect();
        Record::new(vec![metric.parse().unwrap()], search)
    }

    #[test]
    fn a_search_of_another_format_is_refused_and_of_none_read() {
        let folder = tempfile::tempdir().unwrap();
        let written = record("recall@20", &["a"]);
        written.write(folder.path()).unwrap();
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("  \"format\": \"1.0\",\n", "")).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), written);
        std::fs::write(&path, text.replace("1.0", "2.0").replace("search", "found")).unwrap();
        let error = Record::read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("the search ") && error.contains("has format 2.0"), "{error}");
    }

    #[test]
    fn a_search_is_gone_on_with_by_more_points_and_not_by_others() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("tune");
        let first = record("recall@20", &["a", "b"]);
        first.open(&folder).unwrap();
        let finals = vec![record("recall@20", &["f"]).search];
        Record { finals: finals.clone(), ..first.clone() }.write(&folder).unwrap();
        record("recall@20", &["a", "b", "c"]).open(&folder).unwrap();
        let there = Record::read(&folder).unwrap();
        assert_eq!((there.search.len(), there.finals), (3, finals), "what was found stays");
        for (other, word) in [
            (record("recall@50", &["a", "b"]), "other metrics"),
            (record("recall@20", &["a", "x"]), "other points"),
        ] {
            let error = other.open(&folder).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("--out"), "{error}");
        }
        let foreign = place.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        first.open(&foreign).unwrap();
        std::fs::remove_file(foreign.join(NAME)).unwrap();
        std::fs::write(foreign.join("letter"), "mine").unwrap();
        assert!(first.open(&foreign).unwrap_err().to_string().contains("no search"));
        assert!(!Record::is_there(&foreign));
    }
}
