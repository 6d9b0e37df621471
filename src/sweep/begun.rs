//! Which points of a sweep were begun, and when: what its folder says of processes that have not made
//! their run folders yet.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the points of a sweep in the folder `runs` have their configurations, and what they say.
pub fn logs(runs: &Path) -> PathBuf {
    runs.join("logs")
}

/// The run folders of the points that were begun in the folder `runs`, each with the time of its
/// latest start; they need not be there.
pub fn begun(runs: &Path) -> Vec<(PathBuf, SystemTime)> {
    let started = |entry: DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let point = name.strip_suffix(".toml").filter(|point| !point.starts_with('.'))?;
        Some((runs.join(point), entry.metadata().ok()?.modified().ok()?))
    };
    let entries = fs::read_dir(logs(runs)).into_iter().flatten().flatten();
    entries.filter_map(started).collect()
}
