//! Optimisers: the only place that moves weights. Tables are reached only through row ids and row
//! gradients.

mod adagrad;
mod adam;
mod clock;
mod deferred;
mod deferred_host;
mod deferred_kernels;
mod deferred_tensors;
mod flat;
mod gradients;
mod parameter;
mod rule;
mod state;
mod table;
mod tails;
mod touched;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tch::{Device, Tensor};

use crate::config::OptimizerConfig;
use crate::device::ComputePath;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use clock::Clock;
pub use deferred::DeferredAdam;
pub use gradients::{Gradients, RowGradient};
pub use rule::Rule;
pub use state::{Named, State, entry};
pub use touched::{Distinct, TouchedRows};

use parameter::Parameters;
use table::TableOptimizer;

/// Moves all of a model's weights: its few parameters densely, tables by rows.
pub struct Optimisers {
    parameters: Parameters,
    tables: Vec<(&'static str, Tensor, TableOptimizer)>,
    rule: Rule,
    /// Where steps are replayed.
    clock: Option<Clock>,
}

impl Optimisers {
    /// The optimisers that `config` names, at their start for a training of `steps` steps, for a
    /// model's parameters and tables, whose memory they share.
    pub fn new(
        config: &OptimizerConfig,
        steps: u64,
        path: ComputePath,
        parameters: Named,
        tables: Named,
    ) -> Self {
        let rule = Rule::over(config, steps);
        let parameters = Parameters::new(config.kind, &rule, path, parameters);
        let table = |(name, table): (&'static str, Tensor)| {
            let optimizer = TableOptimizer::new(config.kind, &rule, path, &table);
            (name, table, optimizer)
        };
        let tables = tables.into_iter().map(table).collect();
        Self { parameters, tables, rule, clock: None }
    }

    /// Prepares for steps that are recorded on a GPU and replayed: what changes from one to the next
    /// its kernels read from memory.
    pub fn use_clock(&mut self, device: Device) {
        let clock = Clock::new(1 + self.tables.len(), device);
        if let Some(adam) = self.parameters.adam() {
            adam.use_clock(clock.of(0));
        }
        for ((_, _, optimizer), at) in self.tables.iter_mut().zip(1..) {
            optimizer.use_clock(clock.of(at));
        }
        self.clock = Some(clock);
    }

    /// Sends what the next step reads of what the host knows. Returns where that lies, of each table: a
    /// recorded step can be replayed only as long as it stays there.
    pub fn get_ready(&mut self) -> Vec<usize> {
        self.set_clock();
        self.tables.iter_mut().map(|(_, table, own)| own.get_ready(table)).collect()
    }

    /// Counts a step that was replayed.
    pub fn advance(&mut self) {
        if let Some(adam) = self.parameters.adam() {
            adam.advance();
        }
        self.tables.iter_mut().for_each(|(_, _, own)| own.advance());
    }

    fn set_clock(&mut self) {
        if let Some(clock) = &mut self.clock {
            let first = self.parameters.adam().map_or(0, |adam| adam.now());
            let tables = self.tables.iter().map(|(_, _, own)| own.now());
            clock.set(&self.rule, [first].into_iter().chain(tables));
        }
    }

    /// Brings `rows`, those of each table in its order, to the present. Must come before they are
    /// read.
    pub fn catch_up(&mut self, rows: &[Arc<TouchedRows>]) {
        assert_eq!(rows.len(), self.tables.len(), "a list of rows for each table");
        self.set_clock();
        for ((_, table, optimizer), rows) in self.tables.iter_mut().zip(rows) {
            optimizer.catch_up(table, rows);
        }
    }

    /// Brings all rows to the present. Must come before the model is evaluated, copied or saved.
    pub fn catch_up_all(&mut self) {
        self.set_clock();
        self.tables.iter_mut().for_each(|(_, table, optimizer)| optimizer.catch_up_all(table));
    }

    /// One step of all weights; rows with a gradient must be in the present.
    pub fn apply(&mut self, gradients: &Gradients) {
        assert_eq!(gradients.tables.len(), self.tables.len(), "a gradient for each table");
        self.parameters.step(&gradients.parameters);
        for ((_, table, optimizer), gradient) in self.tables.iter_mut().zip(&gradients.tables) {
            optimizer.step_rows(table, gradient);
        }
    }

    /// All that the next step depends on besides the weights; moments share memory.
    pub fn state(&self) -> State {
        let parameters = self.parameters.state().into_iter();
        let tables = self.tables.iter().map(|(name, _, optimizer)| (*name, optimizer.state()));
        let named = |(name, state): (&'static str, Named)| {
            state.into_iter().map(move |(entry, value)| (format!("{name}/{entry}"), value))
        };
        parameters.chain(tables).flat_map(named).collect()
    }

    /// Takes over what [`Optimisers::state`] gave, or nothing of it.
    ///
    /// # Errors
    /// Names the entry that is missing, does not fit, or belongs to other optimisers.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let own = self.state();
        for (name, value) in &own {
            let saved = entry(state, name)?;
            ensure!(
                saved.size() == value.size(),
                "the optimiser state `{name}` is of shape {:?}, not {:?}",
                saved.size(),
                value.size()
            );
        }
        for (name, _) in state {
            let known = own.iter().any(|(own, _)| own == name.as_ref());
            ensure!(known, "the optimiser state has `{}`, of another optimiser", name.as_ref());
        }
        let of = |name: &str| -> Vec<(String, Tensor)> {
            let own = |(entry, value): &(S, Tensor)| {
                let entry = entry.as_ref().strip_prefix(name)?.strip_prefix('/')?;
                Some((entry.to_owned(), value.shallow_clone()))
            };
            state.iter().filter_map(own).collect()
        };
        self.parameters.restore(of)?;
        for (name, _, optimizer) in &mut self.tables {
            optimizer.restore(&of(name)).with_context(|| format!("the optimiser of `{name}`"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
