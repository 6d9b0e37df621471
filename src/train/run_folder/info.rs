//! What is known of a run before its first step: `run.json`.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::INFO;
use crate::formats::{RUN, Version, Versioned};

/// The content of `run.json`. Fields that this version does not know are passed over when it is
/// read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Of the content of the dataset that is trained on.
    pub checksum: String,
    /// The name of that dataset.
    pub dataset: String,
    /// Of the run folder; early runs do not tell.
    #[serde(default = "Version::first")]
    pub format: Version,
    /// How it is computed, as [`crate::step::Plan`] says it; early runs do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// The most steps that are trained; early runs do not tell.
    pub steps: Option<u64>,
    /// The program's version.
    pub version: String,
}

/// Refuses the run at `folder` where its `run.json`, if it has one by now, says another format.
pub(super) fn refuse_other_format(folder: &Path) -> Result<()> {
    let said = std::fs::read_to_string(folder.join(INFO)).ok();
    match said.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Versioned { format }) => {
            let what = format!("the run {}", folder.display());
            RUN.reads(format, what, "use the program that wrote it, or train it again")
        }
        None => Ok(()),
    }
}
