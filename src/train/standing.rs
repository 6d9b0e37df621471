//! How far a training has come, besides weights and optimisers.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::stopping::Stopping;
use crate::config::Metric;

/// What the rest of a training and its result depend on, a few numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Steps that are done. With the seed it is all that draws depend on.
    pub step: u64,
    /// Whether the validation after `step`, if one is due, is done.
    pub validated: bool,
    pub stopping: Stopping,
    /// Metrics of the best validation.
    pub validation: Vec<(Metric, Exact)>,
    /// Batches that were left out because their loss was no number.
    #[serde(default)]
    pub skipped: u64,
    /// The first mean loss that was logged, and the last.
    pub logged: Option<(Exact, Exact)>,
    /// Wall-clock seconds of training steps alone.
    pub train_seconds: f64,
    /// Wall-clock seconds until this part of the training began.
    seconds: f64,
    #[serde(skip, default = "Instant::now")]
    began: Instant,
}

impl Standing {
    /// Before the first step.
    pub fn new(patience: u64) -> Self {
        Self {
            step: 0,
            validated: true,
            stopping: Stopping::new(patience),
            validation: vec![],
            skipped: 0,
            logged: None,
            train_seconds: 0.0,
            seconds: 0.0,
            began: Instant::now(),
        }
    }

    /// Wall-clock seconds of everything, those of earlier parts included.
    pub fn seconds(&self) -> f64 {
        self.seconds + self.began.elapsed().as_secs_f64()
    }

    /// As it is to be kept: whoever reads it begins another part.
    pub fn kept(&self) -> Self {
        Self { seconds: self.seconds(), ..self.clone() }
    }

    /// Takes in a mean loss.
    pub fn log(&mut self, loss: f64) {
        let first = self.logged.map_or(Exact(loss), |(first, _)| first);
        self.logged = Some((first, Exact(loss)));
    }

    /// The metrics of the best validation.
    pub fn best_metrics(&self) -> Vec<(Metric, f64)> {
        self.validation.iter().map(|(metric, Exact(value))| (*metric, *value)).collect()
    }
}
