//! What became of a sweep's points.

use std::path::PathBuf;

use crate::config::Config;
use crate::train::Outcome;

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
    /// It has not been run yet.
    Missing,
    /// It ended with an error, told here.
    Failed(String),
    Done(Outcome),
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
