//! What became of a sweep's points.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::point::Point;
use crate::config::Config;
use crate::train::{Ending, RunFolder, RunResult};

/// One point of a sweep and what became of it.
#[derive(Clone, Debug)]
pub struct PointResult {
    /// Readable and unique within the sweep: `table3_kernel=softplus_alpha=1.2_seed=1`.
    pub name: String,
    /// Case and axis values as the sweep file writes them, without the seed.
    pub case: String,
    /// The first 12 hexadecimal digits of the SHA-256 of what the point's result depends on.
    pub id: String,
    /// The grids of the sweep file that ask for this point.
    pub grids: Vec<String>,
    /// The checked configuration.
    pub config: Config,
    /// The run folder, which need not be there.
    pub run: PathBuf,
    pub status: Status,
}

/// What became of a point.
#[derive(Clone, Debug)]
pub enum Status {
    /// It has not been run yet, or not to its end.
    Missing,
    /// It ended with an error, told here.
    Failed(String),
    Done(Box<RunResult>),
}

impl PointResult {
    /// The result, if the point is done.
    pub fn result(&self) -> Option<&RunResult> {
        match &self.status {
            Status::Done(result) => Some(result),
            _ => None,
        }
    }
}

/// What became of `points`, whose run folders are in `runs`. A run folder belongs to the point
/// whose id its name ends with, so folders made elsewhere can be copied in.
///
/// # Errors
/// When `runs` cannot be listed.
pub fn collect(points: &[Point], runs: &Path) -> Result<Vec<PointResult>> {
    let folders = folders(runs)?;
    let of = |point: &Point| {
        let run = run_of(point, &folders, runs);
        PointResult {
            name: point.name.clone(),
            case: point.case.clone(),
            id: point.id.clone(),
            grids: point.grids.clone(),
            config: point.config.clone(),
            status: status(&run),
            run,
        }
    };
    Ok(points.iter().map(of).collect())
}

/// What is in `runs`, in the order of the names.
///
/// # Errors
/// When it cannot be listed.
pub(super) fn folders(runs: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![];
    if runs.is_dir() {
        for entry in
            fs::read_dir(runs).with_context(|| format!("cannot list {}", runs.display()))?
        {
            folders.push(entry?.path());
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// The run folder of a point among the `folders` in `runs`; where there is none, the one to be made.
pub(super) fn run_of(point: &Point, folders: &[PathBuf], runs: &Path) -> PathBuf {
    let end = format!("-{}", point.id);
    let named = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&end))
    };
    let usual = runs.join(point.folder());
    // A finished run goes before one of the same point that was broken off, and of these that of the
    // point's own name.
    let own: Vec<&PathBuf> = folders.iter().filter(named).collect();
    let done = own.iter().find(|path| RunFolder::has_result(path));
    let begun = own.iter().find(|path| ***path == usual).or(own.first());
    done.or(begun).map_or(usual, |path| (*path).clone())
}

fn status(run: &Path) -> Status {
    match RunFolder::ending(run) {
        Ok(None) => Status::Missing,
        Ok(Some(Ending::Done(result))) => Status::Done(result),
        Ok(Some(Ending::Failed(failure))) => Status::Failed(failure.reason),
        Err(error) => Status::Failed(format!("{error:#}")),
    }
}
