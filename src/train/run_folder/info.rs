//! What is known of a run before its first step: `run.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The content of `run.json`. Fields that this version does not know are passed over when it is
/// read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Of the content of the dataset that is trained on.
    pub checksum: String,
    /// The name of that dataset.
    pub dataset: String,
    /// How it is computed, as [`crate::step::Plan`] says it; early runs do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// The most steps that are trained; early runs do not tell.
    pub steps: Option<u64>,
    /// The program's version.
    pub version: String,
}
