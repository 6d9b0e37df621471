//! The optimiser of a table: all that reads and moves its rows goes through it.

use anyhow::Result;
use tch::Tensor;

use super::state::Named;
use super::{Adagrad, Adam, DeferredAdam, RowGradient, Rule, TouchedRows};
use crate::config::OptimizerKind;
use crate::device::ComputePath;

/// How the rows of a table are moved.
pub enum TableOptimizer {
    Dense(Adam),
    Deferred(DeferredAdam),
    Adagrad(Adagrad),
}

/// Steps that are replayed are Adam's.
const NO_CLOCK: &str = "a plan that replays steps refuses Adagrad";

impl TableOptimizer {
    /// With zero moments for `table`.
    pub fn new(kind: OptimizerKind, rule: &Rule, path: ComputePath, table: &Tensor) -> Self {
        match kind {
            OptimizerKind::Adam => Self::Dense(Adam::new(rule, path, table)),
            OptimizerKind::DeferredAdam => Self::Deferred(DeferredAdam::new(rule, path, table)),
            OptimizerKind::Adagrad => Self::Adagrad(Adagrad::new(rule, table)),
        }
    }

    /// Brings `rows` to the present. Must come before they are read.
    pub fn catch_up(&mut self, table: &Tensor, rows: &TouchedRows) {
        if let Self::Deferred(adam) = self {
            adam.catch_up(table, rows);
        }
    }

    /// Brings the whole table to the present.
    pub fn catch_up_all(&mut self, table: &Tensor) {
        if let Self::Deferred(adam) = self {
            adam.catch_up_all(table);
        }
    }

    /// Kernels find Adam's numbers there ([`super::Clock`]) from now on.
    pub fn use_clock(&mut self, clock: Tensor) {
        match self {
            Self::Dense(adam) => adam.use_clock(clock),
            Self::Deferred(adam) => adam.use_clock(clock),
            Self::Adagrad(_) => unreachable!("{NO_CLOCK}"),
        }
    }

    /// The step that is done.
    pub fn now(&self) -> i64 {
        match self {
            Self::Dense(adam) => adam.now(),
            Self::Deferred(adam) => adam.now(),
            Self::Adagrad(_) => unreachable!("{NO_CLOCK}"),
        }
    }

    /// As [`DeferredAdam::get_ready`].
    pub fn get_ready(&mut self, table: &Tensor) -> usize {
        match self {
            Self::Deferred(adam) => adam.get_ready(table),
            Self::Dense(_) | Self::Adagrad(_) => 0,
        }
    }

    /// Counts a step whose launches were made without it.
    pub fn advance(&mut self) {
        match self {
            Self::Dense(adam) => adam.advance(),
            Self::Deferred(adam) => adam.advance(),
            Self::Adagrad(_) => unreachable!("{NO_CLOCK}"),
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
    pub fn state(&self) -> Named {
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
