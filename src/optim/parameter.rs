//! The optimiser of one of the model's few parameters, always moved as a whole.

use anyhow::Result;
use tch::Tensor;

use super::state::Named;
use super::{Adagrad, Adam, Rule};
use crate::config::OptimizerKind;
use crate::device::ComputePath;

/// How a parameter is moved.
pub enum ParameterOptimizer {
    Adam(Adam),
    Adagrad(Adagrad),
}

impl ParameterOptimizer {
    /// At its start for `parameter`.
    pub fn new(kind: OptimizerKind, rule: &Rule, path: ComputePath, parameter: &Tensor) -> Self {
        match kind {
            OptimizerKind::Adam | OptimizerKind::DeferredAdam => {
                Self::Adam(Adam::new(rule, path, parameter))
            }
            OptimizerKind::Adagrad => Self::Adagrad(Adagrad::new(rule, parameter)),
        }
    }

    /// One step with a gradient of the parameter's shape.
    pub fn step(&mut self, parameter: &Tensor, gradient: &Tensor) {
        match self {
            Self::Adam(adam) => adam.step(parameter, gradient),
            Self::Adagrad(adagrad) => adagrad.step(parameter, gradient),
        }
    }

    /// All that the next step depends on besides the parameter, by name; moments share memory.
    pub fn state(&self) -> Named {
        match self {
            Self::Adam(adam) => adam.state(),
            Self::Adagrad(adagrad) => adagrad.state(),
        }
    }

    /// Takes over what [`ParameterOptimizer::state`] gave.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the parameter.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        match self {
            Self::Adam(adam) => adam.restore(state),
            Self::Adagrad(adagrad) => adagrad.restore(state),
        }
    }
}
