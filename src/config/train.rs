//! The `[train]` table, and how long a training is in steps.

use std::ops::Not;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{CheckpointConfig, Config, Metric, MetricKind, within};
use crate::misuse;

/// The training schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// The most that is trained.
    pub length: Length,
    pub validate_every: ValidateEvery,
    /// Validations without a better `monitor` after which training stops.
    pub patience: u64,
    /// Users of the validation part that a validation ranks for, spread evenly over it; 0: all.
    pub validation_users: usize,
    /// The validation metric that chooses the best weights.
    pub monitor: Metric,
    /// Steps between lines in the logs.
    pub log_every: u64,
    /// On a CPU, take the loops written for it; `false` takes the tensor ops that run on a GPU.
    pub fused: bool,
    /// On a GPU, record a step once as a CUDA graph and replay it.
    pub cuda_graph: bool,
    pub checkpoints: CheckpointConfig,
    /// Batches at most whose loss is no number that are left out; the next one ends the training.
    pub skip_batches: u64,
    /// The run folder whose weights are the first ones, by the items' original ids.
    pub warm_start: Option<PathBuf>,
    /// Keep the optimisers' state at the end, for the training that starts from this one.
    pub keep_optimizer: bool,
}

impl TrainConfig {
    /// Whether it is looked at each step whether the loss is a number, whatever that costs.
    pub fn looks_at_each_loss(&self) -> bool {
        self.skip_batches > 0 || self.log_every == 1
    }
}

/// The steps of a configuration that names none: more than a training takes that validation ends.
pub const DEFAULT_STEPS: u64 = 500_000;

/// How long is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Steps(u64),
    /// Passes over the training users or sessions.
    Epochs(u64),
}

/// When the model is validated, besides at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidateEvery {
    Steps(u64),
    /// At the end of each epoch; where the length is in epochs.
    Epoch,
}

/// How long is trained and when validated, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The most steps that are trained.
    pub steps: u64,
    /// Steps between validations.
    pub validate_every: u64,
}

impl Config {
    /// The schedule in steps, where an epoch has `per_epoch` of them.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the warm-up is not shorter than the training.
    pub fn schedule(&self, per_epoch: u64) -> Result<Schedule> {
        let steps = match self.train.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => {
                let steps = epochs * per_epoch;
                self.warmup_within(steps).with_context(|| format!("train.epochs = {epochs}"))?;
                steps
            }
        };
        let validate_every = match self.train.validate_every {
            ValidateEvery::Steps(steps) => steps,
            ValidateEvery::Epoch => per_epoch,
        };
        Ok(Schedule { steps, validate_every })
    }

    /// Refuses a warm-up that is not shorter than a training whose steps are known.
    pub(super) fn check_warmup(&self) -> Result<()> {
        match self.train.length {
            Length::Steps(steps) => self.warmup_within(steps),
            Length::Epochs(_) => Ok(()),
        }
    }

    fn warmup_within(&self, steps: u64) -> Result<()> {
        let warmup = self.optimizer.warmup_steps;
        if warmup >= steps {
            misuse!("optimizer.warmup_steps = {warmup}: must be below train.steps = {steps}");
        }
        Ok(())
    }
}

/// `[train]` as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// In place of `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Default 500,000 without `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Steps between validations (default 4,000; an epoch with `epochs`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
    pub patience: u64,
    pub validation_users: usize,
    pub monitor: Metric,
    pub log_every: u64,
    pub fused: bool,
    #[serde(skip_serializing_if = "Not::not")]
    pub cuda_graph: bool,
    /// Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_minutes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_steps: Option<u64>,
    /// Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoints_kept: Option<usize>,
    pub skip_batches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<PathBuf>,
    pub keep_optimizer: bool,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: None,
            steps: None,
            validate_every: None,
            validation_users: 0,
            patience: 10,
            monitor: Metric { kind: MetricKind::Recall, at: 100 },
            log_every: 100,
            fused: true,
            cuda_graph: false,
            checkpoint_minutes: None,
            checkpoint_steps: None,
            checkpoints_kept: None,
            skip_batches: 0,
            warm_start: None,
            keep_optimizer: false,
        }
    }
}

impl TrainSettings {
    /// Refuses what cannot work, fills in the defaults.
    pub(super) fn checked(self) -> Result<TrainConfig> {
        let length = match (self.epochs, self.steps) {
            (Some(epochs), Some(steps)) => {
                misuse!("train.epochs = {epochs} and train.steps = {steps}: set one of them")
            }
            (Some(epochs), None) => {
                within("train.epochs", epochs, 1, 1 << 20)?;
                Length::Epochs(epochs)
            }
            (None, steps) => {
                let steps = steps.unwrap_or(DEFAULT_STEPS);
                within("train.steps", steps, 1, 1 << 40)?;
                Length::Steps(steps)
            }
        };
        let validate_every = match (self.validate_every, length) {
            (Some(steps), _) => {
                within("train.validate_every", steps, 1, 1 << 40)?;
                ValidateEvery::Steps(steps)
            }
            (None, Length::Steps(_)) => ValidateEvery::Steps(4_000),
            (None, Length::Epochs(_)) => ValidateEvery::Epoch,
        };
        within("train.patience", self.patience, 1, 1 << 40)?;
        within("train.log_every", self.log_every, 1, 1 << 40)?;
        within("train.skip_batches", self.skip_batches, 0, 1 << 40)?;
        let checkpoints = CheckpointConfig::checked(
            self.checkpoint_minutes,
            self.checkpoint_steps,
            self.checkpoints_kept,
        )?;
        Ok(TrainConfig {
            length,
            validate_every,
            patience: self.patience,
            validation_users: self.validation_users,
            monitor: self.monitor,
            log_every: self.log_every,
            fused: self.fused,
            cuda_graph: self.cuda_graph,
            checkpoints,
            skip_batches: self.skip_batches,
            warm_start: self.warm_start,
            keep_optimizer: self.keep_optimizer,
        })
    }

    /// Without what says when checkpoints are written: no result depends on it.
    pub(super) fn without_checkpoints(self) -> Self {
        Self { checkpoint_minutes: None, checkpoint_steps: None, checkpoints_kept: None, ..self }
    }
}

impl From<TrainConfig> for TrainSettings {
    fn from(train: TrainConfig) -> Self {
        let (epochs, steps) = match train.length {
            Length::Steps(steps) => (None, Some(steps)),
            Length::Epochs(epochs) => (Some(epochs), None),
        };
        let validate_every = match train.validate_every {
            ValidateEvery::Steps(steps) => Some(steps),
            ValidateEvery::Epoch => None,
        };
        Self {
            epochs,
            steps,
            validate_every,
            patience: train.patience,
            validation_users: train.validation_users,
            monitor: train.monitor,
            log_every: train.log_every,
            fused: train.fused,
            cuda_graph: train.cuda_graph,
            checkpoint_minutes: Some(train.checkpoints.minutes),
            checkpoint_steps: train.checkpoints.steps,
            checkpoints_kept: Some(train.checkpoints.kept),
            skip_batches: train.skip_batches,
            warm_start: train.warm_start,
            keep_optimizer: train.keep_optimizer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        toml::from_str::<Settings>(&format!("data.path = \"x\"\n{text}"))?.checked()
    }

    #[test]
    fn epochs_become_steps_when_their_length_is_known() {
        let config = parse("train.epochs = 3").unwrap();
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains("\nsteps") && !text.contains("\nvalidate_every"), "{text}");
        assert_eq!(toml::from_str::<Settings>(&text).unwrap().checked().unwrap(), config);
        assert_eq!(config.train.validate_every, ValidateEvery::Epoch);
        let schedule = config.schedule(17).unwrap();
        assert_eq!(schedule, Schedule { steps: 51, validate_every: 17 });
        let often = parse("train = { epochs = 3, validate_every = 5 }").unwrap();
        assert_eq!(often.schedule(17).unwrap(), Schedule { steps: 51, validate_every: 5 });
    }

    #[test]
    fn steps_stay_as_they_are() {
        let config = parse("train.steps = 9").unwrap();
        let schedule = config.schedule(17).unwrap();
        assert_eq!(schedule, Schedule { steps: 9, validate_every: 4_000 });
        assert_eq!(parse("").unwrap().schedule(17).unwrap().steps, 500_000);
    }

    #[test]
    fn lengths_that_cannot_be_counted_are_refused() {
        for (text, words) in [
            ("train = { epochs = 2, steps = 30 }", ["train.epochs = 2", "train.steps = 30"]),
            ("train.epochs = 0", ["train.epochs = 0", "from 1"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
        let warm = "train.epochs = 2\noptimizer.warmup_steps = 34";
        let error = format!("{:#}", parse(warm).unwrap().schedule(17).unwrap_err());
        assert!(error.contains("train.epochs = 2: optimizer.warmup_steps = 34"), "{error}");
        assert!(parse(warm).unwrap().schedule(18).is_ok());
    }
}
