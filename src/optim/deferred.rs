//! Adam that touches only the rows in use, and equals dense Adam.
//!
//! Dense Adam moves every row at every step, also where the gradient is zero. But what a row does
//! between two gradients is known in advance: its moments decay and it goes on along its first
//! moment, ever shorter. So a row can be left alone until somebody reads it, and then be brought
//! to the present at once (see [`super::tails`] for how far).

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

use super::state::{Named, entry};
use super::tails::Tails;
use super::{RowGradient, Rule, TouchedRows};
use super::{deferred_host as host, deferred_kernels as kernels, deferred_tensors as tensors};
use crate::device::memory::table_zeros;
use crate::device::{ComputePath, Kernels};

/// Deferred Adam for one table. Rows must be brought to the present before they are read.
pub struct DeferredAdam {
    rule: Rule,
    path: ComputePath,
    tails: Tails,
    /// `[rows, 2, dim]`: first and second moment of a row side by side.
    moments: Tensor,
    /// `[rows]` int32: the step that each row's values are those of; 0 for a row that never moved.
    last: Tensor,
    /// When all rows were last brought to the present.
    present: i64,
    /// What the path by tensor ops keeps on the device.
    device: Option<tensors::DeviceTails>,
    /// Where kernels find the step and Adam's numbers, if not with their launch.
    clock: Option<Tensor>,
}

impl DeferredAdam {
    /// Zero moments for `table` `[rows, dim]`.
    pub fn new(rule: &Rule, path: ComputePath, table: &Tensor) -> Self {
        let (rows, dim) = table.size2().expect("a table is a matrix");
        Self {
            rule: rule.clone(),
            path,
            tails: Tails::new(rule),
            moments: table_zeros(&[rows, 2, dim], table.kind(), table.device()),
            last: table_zeros(&[rows], Kind::Int, table.device()),
            present: 0,
            device: None,
            clock: None,
        }
    }

    /// Kernels find the step and Adam's numbers there ([`super::Clock`]) from now on.
    pub fn use_clock(&mut self, clock: Tensor) {
        self.clock = Some(clock);
    }

    /// The step that is done.
    pub fn now(&self) -> i64 {
        self.tails.now()
    }

    /// Counts a step whose launches were made without it.
    pub fn advance(&mut self) {
        self.tails.advance();
    }

    /// Sends what the next step reads of what the host knows, and does what is done once only. Returns
    /// where the tails lie.
    pub fn get_ready(&mut self, table: &Tensor) -> usize {
        let _guard = tch::no_grad_guard();
        // Once for all, so that no later step has to look whether elements are to be told
        // apart, for which it would wait.
        if self.tails.settled() == self.tails.now() && self.present < self.tails.now() {
            self.catch_up_all(table);
        }
        self.on_device(table).known.tails().data_ptr() as usize
    }

    /// Brings rows to the present.
    pub fn catch_up(&mut self, table: &Tensor, rows: &TouchedRows) {
        let _guard = tch::no_grad_guard();
        match self.path {
            ComputePath::HostLoops => {
                host::catch_up(&self.rule, &self.tails, &self.slots(table), &rows.distinct().ids)
            }
            ComputePath::TensorOps => {
                self.get_ready(table);
                self.catch_up_on_device(table, rows.ids());
            }
        }
    }

    /// Brings every row to the present.
    pub fn catch_up_all(&mut self, table: &Tensor) {
        /// Rows a turn: bounds what the tensor ops hold at once.
        const ROWS: i64 = 1 << 16;
        let _guard = tch::no_grad_guard();
        match self.path {
            ComputePath::HostLoops => {
                host::catch_up_all(&self.rule, &self.tails, &self.slots(table));
            }
            ComputePath::TensorOps => {
                let rows = table.size()[0];
                for from in (0..rows).step_by(ROWS as usize) {
                    let to = rows.min(from + ROWS);
                    let ids = Tensor::arange_start(from, to, (Kind::Int64, table.device()));
                    self.catch_up_on_device(table, &ids);
                }
            }
        }
        self.present = self.tails.now();
    }

    /// One step of the whole table from the gradient of some of its rows, all of them brought to
    /// the present before.
    pub fn step_rows(&mut self, table: &Tensor, gradient: &RowGradient) {
        let _guard = tch::no_grad_guard();
        match self.path {
            ComputePath::HostLoops => {
                host::step(&self.rule, self.tails.now() + 1, &self.slots(table), gradient);
                self.tails.advance();
            }
            ComputePath::TensorOps => {
                let (ids, values) = (gradient.rows.ids(), gradient.expanded());
                let rows = self.on_device(table);
                match Kernels::of(table) {
                    Some(kernels) => kernels::step(kernels, &rows, ids, &values),
                    None => rows.step(ids, &values),
                }
                self.tails.advance();
            }
        }
    }

    /// All that the next step depends on besides the table, by name; moments share memory.
    pub fn state(&self) -> Named {
        vec![
            ("step", Tensor::from(self.tails.now())),
            ("m", self.moments.select(1, 0)),
            ("v", self.moments.select(1, 1)),
            ("last", self.last.shallow_clone()),
        ]
    }

    /// Takes over what [`DeferredAdam::state`] gave.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the table.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let (step, saved_last) = (entry(state, "step")?, entry(state, "last")?);
        for ((name, mut own), what) in self.state().into_iter().skip(1).zip(["m", "v", "last"]) {
            let saved = entry(state, what)?;
            if saved.size() != own.size() {
                bail!(
                    "the optimiser state `{name}` is of shape {:?}, not {:?}",
                    saved.size(),
                    own.size()
                );
            }
            own.copy_(saved);
        }
        let step = i64::try_from(step)?;
        if step < saved_last.max().int64_value(&[]) {
            bail!("the optimiser state is broken: a row is ahead of step {step}");
        }
        self.tails = Tails::new(&self.rule);
        (0..step).for_each(|_| self.tails.advance());
        // Rows were brought to the settled step when the first one behind it began.
        self.present = if self.tails.settled() < step { self.tails.settled() } else { 0 };
        self.device = None;
        Ok(())
    }

    fn slots(&self, table: &Tensor) -> host::Slots {
        host::Slots::new(table, &self.moments, &self.last)
    }

    /// By the device's kernels where it has them, else by tensor ops.
    fn catch_up_on_device(&mut self, table: &Tensor, ids: &Tensor) {
        let rows = self.on_device(table);
        match Kernels::of(table) {
            Some(kernels) => kernels::catch_up(kernels, &rows, ids),
            None => rows.catch_up(ids),
        }
    }

    fn on_device<'a>(&'a mut self, table: &Tensor) -> tensors::Rows<'a> {
        let known = self.device.get_or_insert_with(|| tensors::DeviceTails::new(table));
        known.follow(&self.tails);
        tensors::Rows {
            table: table.detach(),
            moments: &self.moments,
            last: &self.last,
            rule: &self.rule,
            tails: &self.tails,
            // No row moved for the last time before `present`.
            may_be_near: self.tails.last_near() >= self.present,
            known,
            clock: self.clock.as_ref(),
        }
    }
}

#[cfg(test)]
#[path = "deferred_tests.rs"]
mod tests;
