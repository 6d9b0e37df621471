//! A folder that is watched: a run, or the folder of a sweep or a search, in which runs come and go.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;

use super::run::is_recent;
use crate::files::Stamp;
use crate::misuse;
use crate::sweep;
use crate::train::RunFolder;
use crate::tune::Record;

/// What is watched in it.
pub struct Place {
    path: PathBuf,
    /// Of a folder that holds runs; a run has none.
    listing: Option<Listing>,
    runs: Vec<PathBuf>,
}

#[derive(Default)]
struct Listing {
    folder: Option<Stamp>,
    logs: Option<Stamp>,
    /// When processes of its points were begun.
    begun: HashMap<PathBuf, SystemTime>,
}

impl Place {
    /// That of a folder that is given.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where neither a run nor a sweep nor a search is there.
    pub fn open(path: &Path) -> Result<Self> {
        if RunFolder::open(path).is_ok() {
            return Ok(Self { path: path.into(), listing: None, runs: vec![path.into()] });
        }
        if !path.exists() {
            misuse!(
                "{} is not there: a training makes its folder when it has read its data",
                path.display()
            );
        }
        let holds_runs = || folders(path).iter().any(|folder| RunFolder::open(folder).is_ok());
        if Record::is_there(path) || sweep::logs(path).is_dir() || holds_runs() {
            return Ok(Self { path: path.into(), listing: Some(Listing::default()), runs: vec![] });
        }
        misuse!(
            "{} is neither a run nor the folder of a sweep or a search: there is no config.toml in \
             it, nor in the folders in it",
            path.display()
        )
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it holds runs, of which more may come.
    pub fn holds_runs(&self) -> bool {
        self.listing.is_some()
    }

    /// The run, or those that it holds, in the order of the search or by name.
    pub fn runs(&self) -> &[PathBuf] {
        &self.runs
    }

    /// When a process was begun for the run at `run`, if one was.
    pub fn begun(&self, run: &Path) -> Option<SystemTime> {
        self.listing.as_ref()?.begun.get(run).copied()
    }

    /// When a run came into it or left it, or a process was begun for one, the last time.
    pub fn changed(&self) -> Option<SystemTime> {
        let Listing { folder, logs, .. } = self.listing.as_ref()?;
        [folder, logs].into_iter().flatten().map(|stamp| stamp.modified).max()
    }

    /// Lists the runs where others may have come, and says whether it did.
    pub fn look(&mut self) -> bool {
        let Some(listing) = &mut self.listing else { return false };
        let (folder, logs) = (Stamp::of(&self.path), Stamp::of(&sweep::logs(&self.path)));
        let is_fresh = [folder, logs].iter().flatten().any(Stamp::is_fresh);
        if (folder, logs) == (listing.folder, listing.logs) && !is_fresh {
            return false;
        }
        (listing.folder, listing.logs) = (folder, logs);
        listing.begun = sweep::begun(&self.path).into_iter().collect();
        // A run that is made anew has no configuration for a moment, but its lock.
        let is_run = |folder: &PathBuf| {
            RunFolder::open(folder).is_ok() || RunFolder::holder(folder).is_some()
        };
        let mut own = folders(&self.path);
        own.retain(is_run);
        let begun = listing.begun.iter().filter(|(_, begun)| is_recent(**begun));
        own.extend(begun.map(|(run, _)| run.clone()));
        own.sort();
        let mut runs = match Record::read(&self.path) {
            Ok(Record { search, finals, .. }) => {
                let all = search.iter().chain(finals.iter().flatten());
                all.map(|entry| entry.run(&self.path)).collect()
            }
            Err(_) => vec![],
        };
        runs.extend(own);
        let mut seen = HashSet::new();
        runs.retain(|run| seen.insert(run.clone()));
        self.runs = runs;
        true
    }
}

/// The folders in a folder, hidden ones left out.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    entries
        .filter(|entry| !hidden(entry))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::begin;
    use super::*;

    fn names(place: &Place) -> Vec<String> {
        let name = |run: &PathBuf| run.file_name().unwrap().to_string_lossy().into_owned();
        place.runs().iter().map(name).collect()
    }

    #[test]
    fn runs_of_a_sweep_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir(sweep::logs(path)).unwrap();
        let mut place = Place::open(path).unwrap();
        place.look();
        assert!(place.runs().is_empty() && place.holds_runs());
        begin(&path.join("b"), 10, &[]);
        begin(&path.join("a"), 10, &[]);
        fs::create_dir(path.join("figures")).unwrap();
        // A process that reads its data, and one that is making its folder.
        fs::write(sweep::logs(path).join("c.toml"), "").unwrap();
        fs::write(sweep::logs(path).join("c.log"), "").unwrap();
        fs::create_dir(path.join("d")).unwrap();
        fs::write(path.join("d/run.lock"), "").unwrap();
        assert!(place.look());
        assert_eq!(names(&place), ["a", "b", "c", "d"]);
        assert!(place.begun(&path.join("c")).is_some() && place.begun(&path.join("a")).is_none());
        fs::remove_dir_all(path.join("a")).unwrap();
        place.look();
        assert_eq!(names(&place), ["b", "c", "d"]);
    }

    #[test]
    fn a_search_tells_what_it_will_run_and_in_which_order() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |name: &str| format!(r#"{{"name":"{name}","case":"x","id":"7"}}"#);
        let text = format!(
            r#"{{"metrics":["recall@20"],"search":[{},{}],"finals":[[{},{}]]}}"#,
            entry("z"),
            entry("y"),
            entry("z"),
            entry("w")
        );
        fs::write(dir.path().join("tune.json"), text).unwrap();
        begin(&dir.path().join("another"), 10, &[]);
        let mut place = Place::open(dir.path()).unwrap();
        place.look();
        assert_eq!(names(&place), ["z-7", "y-7", "w-7", "another"]);
    }

    #[test]
    fn what_has_not_changed_is_not_listed_again() {
        let dir = tempfile::tempdir().unwrap();
        begin(&dir.path().join("a"), 10, &[]);
        let mut place = Place::open(dir.path()).unwrap();
        assert!(place.look());
        let old = SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::open(dir.path()).unwrap().set_modified(old).unwrap();
        assert!(place.look() && !place.look());
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("letter"), "mine").unwrap();
        for (name, words) in [("none", "not there"), ("letter", "neither"), (".", "neither")] {
            let error = Place::open(&dir.path().join(name)).err().unwrap();
            assert_eq!(crate::error::exit_status(&error), 2);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
