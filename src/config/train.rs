//! The `[train]` table.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Config, Metric, MetricKind, Samples, within};
use crate::misuse;

const STEPS: u64 = 500_000;
const VALIDATE_EVERY: u64 = 4_000;

/// The training schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The most passes over the training sessions, in place of `steps`; for
    /// `sampling.samples = "positions"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The most steps that are trained (default 500,000 without `epochs`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Steps between validations (default 4,000; an epoch with `epochs`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
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
}

impl Default for TrainConfig {
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
        }
    }
}

impl TrainConfig {
    /// The most steps that are trained; of `epochs` only after [`Config::in_steps`].
    pub fn steps(&self) -> u64 {
        self.steps.unwrap_or(STEPS)
    }

    /// Steps between validations; of `epochs` only after [`Config::in_steps`].
    pub fn validate_every(&self) -> u64 {
        self.validate_every.unwrap_or(VALIDATE_EVERY)
    }

    /// Whether validations fall at the ends of epochs.
    pub fn validates_epochs(&self) -> bool {
        self.epochs.is_some() && self.validate_every.is_none()
    }

    /// Refuses what cannot work, fills in steps where there are no epochs.
    pub(super) fn checked(mut self, samples: Samples) -> Result<Self> {
        if let Some(epochs) = self.epochs {
            if let Some(steps) = self.steps {
                misuse!("train.epochs = {epochs} and train.steps = {steps}: set one of them");
            }
            if samples == Samples::Users {
                misuse!(
                    "train.epochs = {epochs} needs sampling.samples = \"positions\": where a sample is a user, cut at a random position, no pass over the data is defined; set train.steps"
                );
            }
            within("train.epochs", epochs, 1, 1 << 20)?;
        } else {
            self.steps.get_or_insert(STEPS);
            self.validate_every.get_or_insert(VALIDATE_EVERY);
        }
        within("train.steps", self.steps(), 1, 1 << 40)?;
        within("train.validate_every", self.validate_every(), 1, 1 << 40)?;
        within("train.patience", self.patience, 1, 1 << 40)?;
        within("train.log_every", self.log_every, 1, 1 << 40)?;
        Ok(self)
    }
}

impl Config {
    /// The same training with `train.epochs`, if set, told in steps: an epoch has `per_epoch`,
    /// `None` where none is defined.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the warm-up is not shorter than the training.
    pub fn in_steps(&self, per_epoch: Option<u64>) -> Result<Self> {
        let mut config = self.clone();
        if let (Some(epochs), Some(per_epoch)) = (config.train.epochs.take(), per_epoch) {
            config.train.steps = Some(epochs * per_epoch);
            config.train.validate_every.get_or_insert(per_epoch);
            config.check_warmup().with_context(|| format!("train.epochs = {epochs}"))?;
        }
        Ok(config)
    }

    pub(super) fn check_warmup(&self) -> Result<()> {
        let (warmup, steps) = (self.optimizer.warmup_steps, self.train.steps());
        if warmup >= steps && self.train.epochs.is_none() {
            misuse!("optimizer.warmup_steps = {warmup}: must be below train.steps = {steps}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: &str = "sampling.samples = \"positions\"\nsampling.negatives = [{ from = \"uniform\", count = 9, per = \"batch\" }]\n";

    fn parse(text: &str) -> Result<Config> {
        toml::from_str::<Config>(&format!("data.path = \"x\"\n{text}"))?.checked()
    }

    #[test]
    fn epochs_become_steps_when_their_length_is_known() {
        let config = parse(&format!("{SESSIONS}train.epochs = 3")).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains("\nsteps") && !text.contains("\nvalidate_every"), "{text}");
        assert_eq!(toml::from_str::<Config>(&text).unwrap().checked().unwrap(), config);
        assert!(config.train.validates_epochs());
        let train = config.in_steps(Some(17)).unwrap().train;
        assert_eq!((train.epochs, train.steps(), train.validate_every()), (None, 51, 17));
        let often =
            parse(&format!("{SESSIONS}train = {{ epochs = 3, validate_every = 5 }}")).unwrap();
        assert!(!often.train.validates_epochs());
        let train = often.in_steps(Some(17)).unwrap().train;
        assert_eq!((train.steps(), train.validate_every()), (51, 5));
    }

    #[test]
    fn steps_stay_as_they_are() {
        let config = parse("train.steps = 9").unwrap();
        assert_eq!((config.train.steps, config.train.validate_every), (Some(9), Some(4_000)));
        assert_eq!(config.in_steps(None).unwrap(), config);
        assert_eq!(parse(SESSIONS).unwrap().in_steps(Some(17)).unwrap().train.steps(), 500_000);
    }

    #[test]
    fn epochs_that_cannot_be_counted_are_refused() {
        for (text, words) in [
            ("train.epochs = 2".to_owned(), ["train.epochs = 2", "set train.steps"]),
            (
                format!("{SESSIONS}train = {{ epochs = 2, steps = 30 }}"),
                ["train.epochs = 2", "train.steps = 30"],
            ),
            (format!("{SESSIONS}train.epochs = 0"), ["train.epochs = 0", "from 1"]),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
        let warm = format!("{SESSIONS}train.epochs = 2\noptimizer.warmup_steps = 34");
        let error = format!("{:#}", parse(&warm).unwrap().in_steps(Some(17)).unwrap_err());
        assert!(error.contains("train.epochs = 2: optimizer.warmup_steps = 34"), "{error}");
        assert!(parse(&warm).unwrap().in_steps(Some(18)).is_ok());
    }
}
