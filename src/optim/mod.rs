//! Optimisers. The item table is reached only through row ids and row gradients.

mod adagrad;
mod adam;
mod deferred;
mod deferred_host;
mod deferred_tensors;
mod rows;
mod rule;
mod tails;

use anyhow::Result;
use tch::Tensor;

use crate::config::{OptimizerConfig, OptimizerKind};

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use deferred::DeferredAdam;
pub use rows::{Distinct, TouchedRows};
pub use rule::Rule;

/// The gradient of some rows of a table.
pub struct RowGradient<'a> {
    /// A row that stands twice gets the sum of its gradients.
    pub rows: &'a TouchedRows,
    /// `[sources, dim]`
    pub values: &'a Tensor,
    /// `[places]`: for each place of `rows` its gradient's row in `values`; without it, they stand
    /// there in order. Items of one history share one gradient: it is not written out for each.
    pub sources: Option<&'a [u32]>,
}

impl RowGradient<'_> {
    /// `[places, dim]`: one gradient for each place.
    fn expanded(&self) -> Tensor {
        match self.sources {
            None => self.values.shallow_clone(),
            Some(sources) => {
                let sources: Vec<i64> = sources.iter().map(|&source| i64::from(source)).collect();
                let sources = Tensor::from_slice(&sources).to_device(self.values.device());
                self.values.index_select(0, &sources)
            }
        }
    }
}

/// The optimiser of a table: all that reads and moves its rows goes through it.
pub enum TableOptimizer {
    Dense(Adam),
    Deferred(DeferredAdam),
    Adagrad(Adagrad),
}

impl TableOptimizer {
    /// The optimiser that `config` names, with zero moments for `table`.
    pub fn new(config: &OptimizerConfig, rule: &Rule, table: &Tensor) -> Self {
        match config.kind {
            OptimizerKind::Adam => Self::Dense(Adam::new(rule, table)),
            OptimizerKind::DeferredAdam => Self::Deferred(DeferredAdam::new(rule, table)),
            OptimizerKind::Adagrad => Self::Adagrad(Adagrad::new(rule, table)),
        }
    }

    /// Brings `rows` to the present. Must come before they are read.
    pub fn catch_up(&mut self, table: &Tensor, rows: &TouchedRows) {
        if let Self::Deferred(adam) = self {
            adam.catch_up(table, rows);
        }
    }

    /// Brings the whole table to the present. Must come before it is evaluated, copied or saved.
    pub fn catch_up_all(&mut self, table: &Tensor) {
        if let Self::Deferred(adam) = self {
            adam.catch_up_all(table);
        }
    }

    /// One step.
    pub fn step_rows(&mut self, table: &Tensor, gradient: &RowGradient) {
        match self {
            Self::Dense(adam) => adam.step_rows(table, gradient),
            Self::Deferred(adam) => adam.step_rows(table, gradient),
            Self::Adagrad(adagrad) => adagrad.step_rows(table, gradient),
        }
    }

    /// All that the next step depends on besides the table, by name; moments share memory.
    pub fn state(&self) -> Vec<(&'static str, Tensor)> {
        match self {
            Self::Dense(adam) => adam.state(),
            Self::Deferred(adam) => adam.state(),
            Self::Adagrad(adagrad) => adagrad.state(),
        }
    }

    /// Takes over what [`TableOptimizer::state`] gave.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the table.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        match self {
            Self::Dense(adam) => adam.restore(state),
            Self::Deferred(adam) => adam.restore(state),
            Self::Adagrad(adagrad) => adagrad.restore(state),
        }
    }
}

/// The optimiser of one of the encoder's few parameters, always moved as a whole.
pub enum ParameterOptimizer {
    Adam(Adam),
    Adagrad(Adagrad),
}

impl ParameterOptimizer {
    /// The optimiser that `config` names, at its start for `parameter`.
    pub fn new(config: &OptimizerConfig, rule: &Rule, parameter: &Tensor) -> Self {
        match config.kind {
            OptimizerKind::Adam | OptimizerKind::DeferredAdam => {
                Self::Adam(Adam::new(rule, parameter))
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
}

/// The entry `name` of a saved state.
fn entry<'a, S: AsRef<str>>(state: &'a [(S, Tensor)], name: &str) -> Result<&'a Tensor> {
    use anyhow::Context;
    let found = state.iter().find(|(n, _)| n.as_ref() == name);
    found.map(|(_, t)| t).with_context(|| format!("the optimiser state lacks `{name}`"))
}
