//! Milliseconds a training step of a session model.

use anyhow::Result;
use rand::RngExt;

use super::steps::{StepTimes, timed};
use crate::config::Config;
use crate::data::Sequences;
use crate::random::{Purpose, stream};

/// Positions of a session on average, and its end's chance at each of them: with lengths that fall
/// geometrically, as Diginetica's do (3.85 positions, one session in twenty above 11).
const POSITIONS: f64 = 3.85;

/// Training steps on random sessions.
pub struct SessionStepBench<'a> {
    /// Tower, sampling, loss, optimiser, device; `data.path` is not read.
    pub config: &'a Config,
    pub items: usize,
    /// Steps that count.
    pub steps: u64,
}

impl SessionStepBench<'_> {
    /// Takes the steps.
    ///
    /// # Errors
    /// When the configuration's device is not there.
    pub fn run(&self) -> Result<StepTimes> {
        let sequences = self.sessions(100 * self.config.sampling.batch, self.config.tower.history);
        timed(self.config, &sequences, self.items, self.items, self.steps)
    }

    /// Sessions of at most `history + 1` items, of which the first of the catalogue are clicked
    /// most.
    fn sessions(&self, count: usize, history: usize) -> Sequences {
        let mut rng = stream(self.config.seed, Purpose::Generation, 0);
        let mut all = Sequences { items: vec![], offsets: vec![0] };
        for _ in 0..count {
            let more = (rng.random::<f64>().ln() / (1.0 - 1.0 / POSITIONS).ln()) as usize;
            for _ in 0..(2 + more).min(history + 1) {
                let place: f64 = rng.random();
                all.items.push((place * place * self.items as f64) as u32 + 1);
            }
            all.offsets.push(all.items.len());
        }
        all
    }
}
