//! What became of a sweep's points.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::point::Point;
use crate::config::Config;
use crate::train::{Outcome, RunFolder};

/// The file in a run folder that tells why the run failed.
pub(super) const FAILURE: &str = "failed.json";

/// One point of a sweep and what became of it.
#[derive(Clone, Debug)]
pub struct PointResult {
    /// Readable and unique within the sweep: `table3_kernel=softplus_alpha=1.2_seed=1`.
    pub name: String,
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
    Done(Outcome),
}

/// The content of [`FAILURE`].
#[derive(Serialize, Deserialize)]
pub(super) struct Failure {
    pub reason: String,
}

impl PointResult {
    /// The result, if the point is done.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Done(outcome) => Some(outcome),
            _ => None,
        }
    }
}

/// What became of `points`, whose run folders are in `runs`. A run folder belongs to the point
/// whose id its name ends with, so folders made elsewhere can be copied in.
///
/// # Errors
/// Names the result file that is broken.
pub fn collect(points: &[Point], runs: &Path) -> Result<Vec<PointResult>> {
    let mut folders = vec![];
    if runs.is_dir() {
        for entry in
            fs::read_dir(runs).with_context(|| format!("cannot list {}", runs.display()))?
        {
            folders.push(entry?.path());
        }
    }
    let find = |point: &Point| {
        let end = format!("-{}", point.id);
        let own =
            |path: &&PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(&end));
        folders.iter().find(own).cloned().unwrap_or_else(|| runs.join(point.folder()))
    };
    let of = |point: &Point| {
        let run = find(point);
        Ok(PointResult {
            name: point.name.clone(),
            id: point.id.clone(),
            grids: point.grids.clone(),
            config: point.config.clone(),
            status: status(&run)?,
            run,
        })
    };
    points.iter().map(of).collect()
}

fn status(run: &Path) -> Result<Status> {
    if run.join("result.json").exists() {
        return Ok(Status::Done(RunFolder::open(run)?.read_json("result.json")?));
    }
    if run.join(FAILURE).exists() {
        let failure: Failure = RunFolder::open(run)?.read_json(FAILURE)?;
        return Ok(Status::Failed(failure.reason));
    }
    Ok(Status::Missing)
}
