//! What an export says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Additions;

/// The content of `export.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The program's version and commit.
    pub croloss: String,
    pub commit: String,
    /// The dataset that was trained on.
    pub dataset: String,
    pub dataset_checksum: String,
    pub items: usize,
    pub dim: i64,
    /// The latest items of a history that the user tower reads.
    pub history: usize,
    /// What the inner products of user and item vectors gain by repeats, where they are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Additions>,
    /// SHA-256 of each file of the folder.
    pub files: BTreeMap<String, String>,
}
