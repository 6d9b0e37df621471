//! What is known of a run before its first step: `run.json`.

use serde::{Deserialize, Serialize};

/// The content of `run.json`. Fields that this version does not know are passed over when it is
/// read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Of the content of the dataset that is trained on.
    pub checksum: String,
    /// The name of that dataset.
    pub dataset: String,
    /// The most steps that are trained; early runs do not tell.
    pub steps: Option<u64>,
    /// The program's version.
    pub version: String,
}
