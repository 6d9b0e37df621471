//! All runs that are watched.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::place::Place;
use super::run::{Run, State};
use crate::config::Metric;

/// Runs, and the folders that they are found in.
pub struct Watched {
    places: Vec<Place>,
    runs: Vec<Run>,
    /// How many have been met.
    met: usize,
}

impl Watched {
    /// Looks at the runs of `folders` for the first time: of runs, sweeps and searches.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a folder that is none of these.
    pub fn open(folders: &[PathBuf]) -> Result<Self> {
        let mut places = vec![];
        for (at, folder) in folders.iter().enumerate() {
            if !folders[..at].contains(folder) {
                places.push(Place::open(folder)?);
            }
        }
        let mut watched = Self { places, runs: vec![], met: 0 };
        watched.list();
        watched.look();
        Ok(watched)
    }

    /// Reads what has changed.
    pub fn look(&mut self) {
        let changed = self.places.iter_mut().filter_map(|place| place.look().then_some(()));
        if changed.count() > 0 {
            self.list();
        }
        for run in &mut self.runs {
            let begun = self.places.iter().find_map(|place| place.begun(&run.path));
            run.look(begun);
        }
    }

    /// Takes over which runs there are; of those that were known all stays known.
    fn list(&mut self) {
        let runs = std::mem::take(&mut self.runs).into_iter();
        let mut known: HashMap<PathBuf, Run> = runs.map(|run| (run.path.clone(), run)).collect();
        for (path, name) in named(&self.places) {
            let mut run = known.remove(&path).unwrap_or_else(|| {
                self.met += 1;
                Run::at(&path, String::new(), self.met - 1)
            });
            run.name = name;
            self.runs.push(run);
        }
    }

    /// The runs as they are found: by the order of the folders, in it by that of the search or by
    /// name.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs as they are shown: those at work first, those that have not begun last.
    pub fn in_order(&self) -> Vec<&Run> {
        let mut all: Vec<&Run> = self.runs.iter().collect();
        all.sort_by_key(|run| match (&run.state, run.is_at_work()) {
            (_, true) => 0,
            (State::Waiting, _) => 2,
            _ => 1,
        });
        all
    }

    /// Whether a process works on a run, or is about to.
    pub fn is_at_work(&self) -> bool {
        self.runs.iter().any(Run::is_at_work)
    }

    /// Whether runs may come that are not there.
    pub fn may_grow(&self) -> bool {
        self.places.iter().any(Place::holds_runs)
    }

    /// Whether for so long no process has come to a run's folder or left it.
    pub fn is_quiet_for(&self, time: Duration) -> bool {
        let of_places = self.places.iter().filter_map(Place::changed);
        let mut all = of_places.chain(self.runs.iter().filter_map(Run::changed));
        all.all(|changed| changed.elapsed().is_ok_and(|age| age >= time))
    }

    /// The metric that chooses the weights of the first run.
    pub fn monitor(&self) -> Option<Metric> {
        self.runs.iter().find_map(|run| run.monitor)
    }

    /// The metrics that any of the runs is measured by.
    pub fn metrics(&self) -> BTreeSet<Metric> {
        let of = |run: &Run| -> Vec<Metric> {
            run.measured.iter().copied().chain(run.log.metrics()).collect()
        };
        self.runs.iter().flat_map(of).collect()
    }
}

/// The runs of all places, each once, and what they are called: no two alike.
fn named(places: &[Place]) -> Vec<(PathBuf, String)> {
    let (mut all, mut seen) = (vec![], HashSet::new());
    for place in places {
        let before = match place.holds_runs() && places.len() > 1 {
            true => format!("{}/", name_of(place.path())),
            false => String::new(),
        };
        let short = counted(place.runs().iter().map(|run| without_id(&name_of(run)).to_owned()));
        for run in place.runs() {
            let name = name_of(run);
            let own = match without_id(&name) {
                own if place.holds_runs() && short[own] == 1 => own,
                _ => &name,
            };
            if seen.insert(run) {
                all.push((run.clone(), format!("{before}{own}")));
            }
        }
    }
    let names = counted(all.iter().map(|(_, name): &(PathBuf, String)| name.clone()));
    for (path, name) in &mut all {
        if names[name.as_str()] > 1 {
            *name = path.display().to_string();
        }
    }
    all
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

/// The name of a folder, also of one that is given as `.`.
fn name_of(path: &Path) -> String {
    let whole = || path.canonicalize().ok()?.file_name().map(|name| name.to_owned());
    let name = path.file_name().map(|name| name.to_owned()).or_else(whole);
    name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The name of a point without the id that its folder ends with.
fn without_id(name: &str) -> &str {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit_once('-').filter(|(_, id)| is_id(id)).map_or(name, |(own, _)| own)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixtures::{begin, hold, loss, validation};
    use super::*;

    fn names(watched: &Watched) -> Vec<&str> {
        watched.runs().iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn points_are_called_by_what_tells_them_apart() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["0123456789ab", "0123456789cd"];
        let folders = ["s/x_seed=1", "s/x_seed=2", "s/x_seed=2", "t/x_seed=1"];
        for (folder, id) in folders.iter().zip([a, a, b, a]) {
            begin(&dir.path().join(format!("{folder}-{id}")), 10, &[]);
        }
        begin(&dir.path().join("mine"), 10, &[]);
        begin(&dir.path().join("old/mine"), 10, &[]);
        let of = |folders: &[&str]| {
            let folders: Vec<PathBuf> = folders.iter().map(|name| dir.path().join(name)).collect();
            Watched::open(&folders).unwrap()
        };
        let alone = of(&["s"]);
        let twice = [format!("x_seed=2-{a}"), format!("x_seed=2-{b}")];
        assert_eq!(names(&alone), ["x_seed=1", &twice[0], &twice[1]]);
        assert_eq!(names(&of(&["t", "mine", "t"])), ["t/x_seed=1", "mine"]);
        let paths = ["mine", "old/mine"].map(|name| dir.path().join(name).display().to_string());
        assert_eq!(names(&of(&["mine", "old/mine"])), paths);
        assert_eq!(names(&of(&["old/mine/..", "mine"])), ["old/mine", "mine"]);
    }

    #[test]
    fn runs_keep_what_is_known_of_them_when_others_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let run = |name: &str| dir.path().join(name);
        begin(&run("a"), 100, &[loss(10, 2.0)]);
        begin(&run("b"), 100, &[validation(20, 0.5)]);
        let mut watched = Watched::open(&[dir.path().into()]).unwrap();
        assert_eq!(names(&watched), ["a", "b"]);
        assert!(watched.may_grow() && !watched.is_at_work());
        assert_eq!(watched.monitor(), Some("recall@50".parse().unwrap()));
        fs::remove_dir_all(run("a")).unwrap();
        begin(&run("c"), 100, &[]);
        hold(&run("c"));
        watched.look();
        let known: Vec<(&str, usize, u64)> =
            watched.runs().iter().map(|run| (&*run.name, run.number, run.step())).collect();
        assert_eq!(known, [("b", 1, 20), ("c", 2, 0)]);
        assert!(watched.is_at_work());
        let shown: Vec<&str> = watched.in_order().iter().map(|run| &*run.name).collect();
        assert_eq!(shown, ["c", "b"], "who is at work comes first");
    }
}
