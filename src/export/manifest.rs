//! What an export says of itself.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::formats::Version;
use crate::model::Additions;

/// The content of `export.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: Version,
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

impl Manifest {
    /// Refuses what no export says: it may come from anywhere.
    ///
    /// # Errors
    /// Names the key, or the file that is `needed`, or none of the `known`.
    pub(super) fn check(&self, known: &[&str], needed: &[&str]) -> Result<()> {
        ensure!((1..i32::MAX as usize).contains(&self.items), "items = {}", self.items);
        ensure!((1..1 << 24).contains(&self.dim), "dim = {}", self.dim);
        ensure!(self.history > 0, "history = 0");
        ensure!(
            self.repeats.as_ref().is_none_or(Additions::are_finite),
            "repeats: not all are numbers"
        );
        for name in self.files.keys() {
            ensure!(known.contains(&name.as_str()), "files: an export has no file {name:?}");
        }
        for name in needed {
            ensure!(self.files.contains_key(*name), "files: {name} is not listed");
        }
        Ok(())
    }
}
