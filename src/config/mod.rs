//! The typed configuration of a training run: TOML in, refused before work starts if it is wrong.

mod device;
mod evaluation;
mod explain;
mod load;
mod loss;
mod metric;
mod sampling;
mod tower;
mod train;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::misuse;

pub use device::DeviceChoice;
pub use evaluation::{EvaluationConfig, Protocol, Seen};
pub use explain::{explain, nearest};
pub use load::{Layer, from_table, load, parse_set};
pub use loss::{Estimator, Kernel, LogQ, LossConfig, LossKind};
pub use metric::{Metric, MetricKind};
pub use sampling::{
    AccidentalHits, NegativeSource, Order, Origin, Per, Reject, Samples, SamplingConfig,
};
pub use tower::{Activation, EncoderKind, TowerConfig};
pub use train::TrainConfig;

/// Everything that a training run depends on. Saved with all defaults filled in as the run
/// folder's `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of every random draw.
    #[serde(default = "one")]
    pub seed: u64,
    #[serde(default)]
    pub device: DeviceChoice,
    /// CPU threads; 0 takes one for every core.
    #[serde(default)]
    pub threads: u32,
    pub data: DataConfig,
    #[serde(default)]
    pub tower: TowerConfig,
    #[serde(default)]
    pub sampling: SamplingConfig,
    #[serde(default)]
    pub loss: LossConfig,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    #[serde(default)]
    pub train: TrainConfig,
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A folder that `croloss prepare` wrote.
    pub path: PathBuf,
}

/// How the model is moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// How the item table is moved; the encoder's few parameters are always moved densely.
    pub kind: OptimizerKind,
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub epsilon_form: EpsilonForm,
    /// What becomes of the learning rate over the steps.
    pub schedule: ScheduleKind,
    /// Steps over which the learning rate rises in a straight line to its full value.
    pub warmup_steps: u64,
}

/// The rule, and how it reaches the rows of the item table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam whose rows are brought to the present when they are read: dense Adam's result at the
    /// cost of the rows in use.
    DeferredAdam,
    /// Every row moves at every step: the definition.
    Adam,
    /// Adagrad; `beta1`, `beta2` and `epsilon_form` are not read.
    Adagrad,
}

/// The learning rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// It stays.
    Constant,
    /// It falls along half a cosine towards 0 at the last step.
    Cosine,
}

/// Where Adam's ε stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpsilonForm {
    /// lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε), as the published results were made.
    Tensorflow,
    /// lr/(1−β₁ᵗ) · m/(√(v/(1−β₂ᵗ)) + ε).
    Pytorch,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::DeferredAdam,
            learning_rate: 0.02,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            epsilon_form: EpsilonForm::Tensorflow,
            schedule: ScheduleKind::Constant,
            warmup_steps: 0,
        }
    }
}

fn one() -> u64 {
    1
}

impl Config {
    /// Refuses values that cannot work and fills in the defaults that depend on other keys.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with the key, the value and what is allowed.
    pub fn checked(mut self) -> Result<Self> {
        self.loss = self.loss.checked()?;
        self.tower = self.tower.checked()?;
        self.sampling = self.sampling.checked()?;
        self.train = self.train.checked(self.sampling.samples())?;
        self.check_form()?;
        within("threads", u64::from(self.threads), 0, 1024)?;
        let o = &self.optimizer;
        positive("optimizer.learning_rate", o.learning_rate)?;
        positive("optimizer.epsilon", o.epsilon)?;
        for (key, beta) in [("optimizer.beta1", o.beta1), ("optimizer.beta2", o.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                misuse!("{key} = {beta}: must be at least 0 and below 1");
            }
        }
        if o.kind == OptimizerKind::DeferredAdam && o.beta1 > 0.99 * o.beta2.sqrt() {
            misuse!(
                "optimizer.beta1 = {}, beta2 = {}: deferred-adam needs beta1 of at most 0.99·√beta2; set optimizer.kind = \"adam\"",
                o.beta1,
                o.beta2
            );
        }
        self.check_warmup()?;
        self.evaluation.check(self.train.monitor)?;
        Ok(self)
    }

    /// Refuses combinations of sample, tower and loss that cannot work.
    fn check_form(&self) -> Result<()> {
        let (tower, loss) = (&self.tower, &self.loss);
        if self.sampling.samples() == Samples::Positions {
            return Ok(());
        }
        let needs =
            |what: &str| -> Result<()> { misuse!("{what} needs sampling.samples = \"positions\"") };
        if !tower.is_tied() {
            needs("tower.tied = false")?;
        }
        if tower.activation.is_some_and(|activation| activation != Activation::None) {
            needs("tower.activation")?;
        }
        if loss.log_q.is_some_and(|log_q| log_q != LogQ::None) {
            needs("loss.log_q")?;
        }
        Ok(())
    }
}

fn within(key: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if !(least..=most).contains(&value) {
        misuse!("{key} = {value}: must be from {least} to {most}");
    }
    Ok(())
}

/// A value as TOML writes it, for errors.
fn name_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn positive(key: &str, value: f64) -> Result<()> {
    if !(value.is_finite() && value > 0.0) {
        misuse!("{key} = {value}: must be above 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        toml::from_str::<Config>(&format!("[data]\npath = \"x\"\n{text}"))?.checked()
    }

    #[test]
    fn the_default_is_the_paper_s_setting_and_survives_its_own_toml() {
        let config = parse("").unwrap();
        assert_eq!((config.optimizer.learning_rate, config.tower.dim), (0.02, 32));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap().checked().unwrap(), config);
    }

    #[test]
    fn values_that_cannot_work_are_refused_with_their_key() {
        for (text, key) in [
            ("[tower]\ndim = 0", "tower.dim"),
            ("[tower]\nscale = -1.0", "tower.scale"),
            ("[optimizer]\nbeta1 = 1.0", "optimizer.beta1"),
            ("[optimizer]\nbeta1 = 0.99\nbeta2 = 0.99", "optimizer.kind"),
            ("[optimizer]\nwarmup_steps = 9\n[train]\nsteps = 9", "optimizer.warmup_steps"),
            ("[train]\nsteps = 0", "train.steps"),
            ("[evaluation]\nat = []", "evaluation.at"),
            ("[train]\nmonitor = \"recall@77\"", "evaluation.at"),
            ("[train]\nmonitor = \"last-mrr@20\"", "\"holdout\", which measures recall, hitrate"),
            (
                "[train]\nmonitor = \"ndcg@20\"\n[evaluation]\nprotocol = \"positions\"",
                "\"positions\", which measures recall, mrr, last-recall, last-mrr",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
