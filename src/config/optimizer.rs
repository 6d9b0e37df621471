//! The `[optimizer]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::positive;
use crate::misuse;

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

impl OptimizerConfig {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        positive("optimizer.learning_rate", self.learning_rate)?;
        positive("optimizer.epsilon", self.epsilon)?;
        for (key, beta) in [("optimizer.beta1", self.beta1), ("optimizer.beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                misuse!("{key} = {beta}: must be at least 0 and below 1");
            }
        }
        let most = 0.99 * self.beta2.sqrt();
        if self.kind == OptimizerKind::DeferredAdam && self.beta1 > most {
            misuse!(
                "optimizer.beta1 = {}, beta2 = {}: deferred-adam needs beta1 of at most 0.99·√beta2; set optimizer.kind = \"adam\"",
                self.beta1,
                self.beta2
            );
        }
        Ok(())
    }
}
