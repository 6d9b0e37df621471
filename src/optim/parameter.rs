//! The optimisers of the model's few parameters, always moved as a whole.

use anyhow::{Context, Result};
use tch::Tensor;

use super::flat::FlatAdam;
use super::state::Named;
use super::{Adagrad, Adam, Rule};
use crate::config::OptimizerKind;
use crate::device::ComputePath;

/// How the parameters are moved.
pub enum Parameters {
    /// One after the other.
    Each(Vec<(&'static str, Tensor, ParameterOptimizer)>),
    /// All at once.
    Flat(FlatAdam),
}

/// How a parameter is moved.
pub enum ParameterOptimizer {
    Adam(Adam),
    Adagrad(Adagrad),
}

impl Parameters {
    /// At their start.
    pub fn new(kind: OptimizerKind, rule: &Rule, path: ComputePath, parameters: Named) -> Self {
        let each = |(name, parameter): (&'static str, Tensor)| {
            let optimizer = match kind {
                OptimizerKind::Adagrad => {
                    ParameterOptimizer::Adagrad(Adagrad::new(rule, &parameter))
                }
                OptimizerKind::Adam | OptimizerKind::DeferredAdam => {
                    ParameterOptimizer::Adam(Adam::new(rule, path, &parameter))
                }
            };
            (name, parameter, optimizer)
        };
        match (kind, path) {
            (OptimizerKind::Adagrad, _) | (_, ComputePath::HostLoops) => {
                Self::Each(parameters.into_iter().map(each).collect())
            }
            _ => Self::Flat(FlatAdam::new(rule, parameters)),
        }
    }

    /// One step with a gradient for each, of its shape.
    pub fn step(&mut self, gradients: &[Tensor]) {
        match self {
            Self::Each(all) => {
                assert_eq!(gradients.len(), all.len(), "a gradient for each parameter");
                for ((_, parameter, optimizer), gradient) in all.iter_mut().zip(gradients) {
                    match optimizer {
                        ParameterOptimizer::Adam(adam) => adam.step(parameter, gradient),
                        ParameterOptimizer::Adagrad(adagrad) => adagrad.step(parameter, gradient),
                    }
                }
            }
            Self::Flat(adam) => adam.step(gradients),
        }
    }

    /// The one Adam of all of them, where they are moved as one.
    pub fn adam(&mut self) -> Option<&mut Adam> {
        match self {
            Self::Each(_) => None,
            Self::Flat(adam) => Some(adam.adam()),
        }
    }

    /// By parameter, all that the next step depends on besides it, by name; moments share memory.
    pub fn state(&self) -> Vec<(&'static str, Named)> {
        let state = |optimizer: &ParameterOptimizer| match optimizer {
            ParameterOptimizer::Adam(adam) => adam.state(),
            ParameterOptimizer::Adagrad(adagrad) => adagrad.state(),
        };
        match self {
            Self::Each(all) => all.iter().map(|(name, _, own)| (*name, state(own))).collect(),
            Self::Flat(adam) => adam.state(),
        }
    }

    /// Takes over what [`Parameters::state`] gave, `of` each parameter.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the parameter.
    pub fn restore(&mut self, of: impl Fn(&str) -> Vec<(String, Tensor)>) -> Result<()> {
        match self {
            Self::Each(all) => all.iter_mut().try_for_each(|(name, _, optimizer)| {
                let restored = match optimizer {
                    ParameterOptimizer::Adam(adam) => adam.restore(&of(name)),
                    ParameterOptimizer::Adagrad(adagrad) => adagrad.restore(&of(name)),
                };
                restored.with_context(|| format!("the optimiser of `{name}`"))
            }),
            Self::Flat(adam) => adam.restore(of),
        }
    }
}
