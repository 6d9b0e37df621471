//! What a configuration file says, before it is checked.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::loss_settings::LossSettings;
use super::sampling::{Reject, Samples, SamplingSettings};
use super::tower::TowerSettings;
use super::train::TrainSettings;
use super::{
    Config, DataConfig, DeviceChoice, EvaluationConfig, HistorySetting, LogSize, OptimizerConfig,
    within,
};
use crate::misuse;

/// A configuration as a TOML file has it: most keys may be missing, and those that are there may
/// not go together. [`Settings::checked`] makes a [`Config`] of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of every random draw (default 1).
    #[serde(default = "one")]
    pub seed: u64,
    #[serde(default)]
    pub device: DeviceChoice,
    /// CPU threads; 0 takes one for every core.
    #[serde(default)]
    pub threads: u32,
    pub data: DataConfig,
    #[serde(default)]
    pub tower: TowerSettings,
    #[serde(default)]
    pub sampling: SamplingSettings,
    #[serde(default)]
    pub loss: LossSettings,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    #[serde(default)]
    pub train: TrainSettings,
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

fn one() -> u64 {
    1
}

impl Settings {
    /// Puts numbers where a file leaves them to the log; `size_of` is asked for that of
    /// `data.path` where there is anything to be put.
    ///
    /// # Errors
    /// Those of `size_of`.
    pub fn fitted(mut self, size_of: impl FnOnce(&Path) -> Result<LogSize>) -> Result<Self> {
        if self.tower.history == HistorySetting::Auto {
            let size = size_of(&self.data.path)?;
            self.tower.history = HistorySetting::Items(size.history());
        }
        Ok(self)
    }

    /// Refuses values that cannot work and fills in the defaults.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with the key, the value and what is allowed.
    pub fn checked(self) -> Result<Config> {
        let config = self.checked_without_monitor()?;
        config.evaluation.check_monitor(config.train.monitor)?;
        Ok(config)
    }

    /// [`Settings::checked`] for a training that is over: what it monitored may be measured no more.
    ///
    /// # Errors
    /// Those of [`Settings::checked`], but for the monitor's.
    pub fn checked_without_monitor(self) -> Result<Config> {
        within("threads", u64::from(self.threads), 0, 1024)?;
        let by_epochs = self.train.epochs.is_some();
        let tower = self.tower.checked()?;
        let sampling = match tower.repeats {
            true => for_repeats(self.sampling)?,
            false => self.sampling,
        };
        let config = Config {
            seed: self.seed,
            device: self.device,
            threads: self.threads,
            data: self.data,
            loss: self.loss.checked()?,
            tower,
            sampling: sampling.checked(by_epochs)?,
            train: self.train.checked()?,
            optimizer: self.optimizer,
            evaluation: self.evaluation.checked()?,
        };
        config.optimizer.check()?;
        config.check_warmup()?;
        Ok(config)
    }
}

/// Sampling where repeats are learned: a history's own items must be candidates, or nothing would
/// ever say that a repeat is wrong, and what scores gain by one would grow without end.
fn for_repeats(mut sampling: SamplingSettings) -> Result<SamplingSettings> {
    if sampling.reject == Some(Reject::Session) {
        misuse!(
            "tower.repeats = true and sampling.reject = \"session\": what a repeat is worth is learned from candidates that are in the history, and these are rejected; set sampling.reject = \"label\""
        );
    }
    if sampling.samples == Some(Samples::Positions) {
        sampling.reject.get_or_insert(Reject::Label);
    }
    Ok(sampling)
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        Self {
            seed: config.seed,
            device: config.device,
            threads: config.threads,
            data: config.data,
            tower: config.tower.into(),
            sampling: config.sampling.into(),
            loss: config.loss.into(),
            optimizer: config.optimizer,
            train: config.train.into(),
            evaluation: config.evaluation,
        }
    }
}
