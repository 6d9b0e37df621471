//! Milliseconds a training step of the two-tower model.

use anyhow::Result;
use rand::RngExt;

use super::steps::{StepTimes, timed};
use crate::config::Config;
use crate::data::Sequences;
use crate::random::{Purpose, stream};

/// Training steps on random sequences that are all longer than a history.
pub struct StepBench<'a> {
    /// Batch, history, loss, optimiser, device; `data.path` is not read.
    pub config: &'a Config,
    /// Items that sequences and negatives are drawn from, uniform.
    pub items: usize,
    /// Rows of the table, at least `items`: more, and the step's own rows stay as many.
    pub rows: usize,
    /// Steps that count.
    pub steps: u64,
}

impl StepBench<'_> {
    /// Takes the steps.
    ///
    /// # Errors
    /// When the configuration's device is not there.
    pub fn run(&self) -> Result<StepTimes> {
        let (batch, history) = (self.config.sampling.batch, self.config.tower.history);
        let users = 40 * batch;
        let mut rng = stream(self.config.seed, Purpose::Generation, 0);
        let sequences = Sequences {
            items: (0..users * (history + 1))
                .map(|_| rng.random_range(1..=self.items as u32))
                .collect(),
            offsets: (0..=users).map(|user| user * (history + 1)).collect(),
        };
        // Every target is the last item of its sequence: all histories have full length.
        let mut config = self.config.clone();
        config.sampling.first_position = history;
        timed(&config, &sequences, self.items, self.rows, self.steps)
    }
}
