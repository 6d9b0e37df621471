//! What a run came to: `result.json`, or `failed.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CONFIG, FAILURE, RESULT, RunFolder};
use crate::config::Metric;
use crate::eval::{ColdRecall, Groups, Lists};

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Failed(Failure),
    Done(Box<RunResult>),
}

/// The content of `failed.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong, as the user is told.
    pub reason: String,
}

/// The content of `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Steps trained.
    pub steps: u64,
    /// The step whose weights were best in validation, and were tested; without validation the last.
    pub best_step: u64,
    /// Wall-clock seconds of training steps alone.
    pub train_seconds: f64,
    /// Wall-clock seconds of everything, validation and test included.
    pub seconds: f64,
    /// The most memory that the process held, in MiB; 0 where the system does not tell.
    pub peak_memory_mib: u64,
    /// The most memory of its GPU that the process held, in MiB; nothing for a run on a CPU.
    pub peak_gpu_memory_mib: Option<u64>,
    pub device: String,
    pub threads: i32,
    pub seed: u64,
    /// The program's version and commit.
    pub version: String,
    pub commit: String,
    pub test_users: usize,
    /// Targets of theirs that no training and no history holds: they could not be ranked.
    #[serde(default)]
    pub test_unrankable: usize,
    /// [`crate::config::Config::protocol_in_words`]
    #[serde(default)]
    pub protocol: String,
    /// Metrics at `best_step`; these and `test` are empty where the dataset is all training.
    #[serde(with = "by_name")]
    pub validation: Vec<(Metric, f64)>,
    #[serde(with = "by_name")]
    pub test: Vec<(Metric, f64)>,
    /// Recall of the test's targets by their popularity and by what was known.
    #[serde(default)]
    pub test_groups: Groups,
    /// By N what the lists of N items hold that the test's users get.
    #[serde(default)]
    pub test_lists: BTreeMap<usize, Lists>,
    /// Of a dataset whose split takes items out of training: how many of them are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_cold: Option<ColdRecall>,
}

impl RunFolder {
    /// What the run came to.
    ///
    /// # Errors
    /// Says that the run has failed, or is not finished; names the file that is broken.
    pub fn result(&self) -> Result<RunResult> {
        if Self::has_result(&self.path) {
            return self.read_json(RESULT);
        }
        let path = self.path.display();
        if self.path.join(FAILURE).exists() {
            let Failure { reason } = self.read_json(FAILURE)?;
            bail!("{path} has no result: the run failed ({reason})");
        }
        bail!(
            "{path} is not finished: it has no {RESULT} yet; wait for its end, or go on with it by \
             `croloss train {path}/{CONFIG} --out {path} --resume`"
        )
    }

    /// Whether the run at `path`, if there is one, has a result.
    pub fn has_result(path: &Path) -> bool {
        path.join(RESULT).exists()
    }

    /// Keeps why the run failed.
    pub fn write_failure(&self, failure: &Failure) -> Result<()> {
        self.write_json(FAILURE, failure)
    }

    /// How the run at `path` ended; `None` where it has not, or there is none.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn ending(path: &Path) -> Result<Option<Ending>> {
        if Self::has_result(path) {
            return Ok(Some(Ending::Done(Self::open(path)?.result()?.into())));
        }
        if path.join(FAILURE).exists() {
            return Ok(Some(Ending::Failed(Self::open(path)?.read_json(FAILURE)?)));
        }
        Ok(None)
    }
}

/// Metrics as a map from `recall@50` and the like, in their order.
pub mod by_name {
    use super::*;

    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(metrics: &[(Metric, f64)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(metrics.iter().map(|(metric, value)| (metric.to_string(), value)))
    }

    /// # Errors
    /// A name that is no metric.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Metric, f64)>, D::Error> {
        Ok(BTreeMap::<Metric, f64>::deserialize(from)?.into_iter().collect())
    }
}
