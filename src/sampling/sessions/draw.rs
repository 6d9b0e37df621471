//! Draws the batches of sessions.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rand::seq::{SliceRandom, index};
use tch::Device;

use super::batch::{Candidates, SessionBatch};
use super::sources::{Clicks, Expected, Source};
use crate::config::{Order, Per, SamplingConfig};
use crate::data::Sequences;
use crate::misuse;
use crate::random::{Purpose, stream};

/// Draws the batches of a training run: an epoch is every session once, its last batch is what is
/// left over.
pub struct SessionBatches<'a> {
    sequences: &'a Sequences,
    /// Sessions of two items or more.
    sessions: Vec<usize>,
    sources: Vec<Source>,
    /// The clicks on each item.
    counts: Vec<u64>,
    batch: usize,
    order: Order,
    history: usize,
    tied: bool,
    seed: u64,
    device: Device,
    /// The order of the epoch that was drawn from last.
    epoch: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

/// What a batch depends on besides the sessions and the sampling.
pub struct Setting {
    /// The size of the catalogue.
    pub items: usize,
    /// The latest items that the encoder reads: sessions are cut to one more.
    pub history: usize,
    /// Whether one table serves input and output.
    pub tied: bool,
    pub seed: u64,
    pub device: Device,
}

impl<'a> SessionBatches<'a> {
    /// Batches over those of `sessions` that have two items or more, with the candidates of a
    /// checked configuration's sources.
    ///
    /// # Errors
    /// A [`crate::error::Misuse`] when there is no such session.
    pub fn new(
        sequences: &'a Sequences,
        mut sessions: Vec<usize>,
        config: &SamplingConfig,
        setting: Setting,
    ) -> Result<Self> {
        let Setting { items, history, tied, seed, device } = setting;
        let counts = Expected::clicks(sequences, &sessions, items);
        sessions.retain(|&session| sequences.get(session).len() >= 2);
        if sessions.is_empty() {
            misuse!("the dataset has no training session of two items or more");
        }
        Ok(Self {
            sequences,
            sessions,
            sources: config.negatives.iter().map(|source| Source::new(source, &counts)).collect(),
            counts,
            batch: config.batch,
            order: config.order,
            history,
            tied,
            seed,
            device,
            epoch: Mutex::new(None),
        })
    }

    /// Batches an epoch.
    pub fn per_epoch(&self) -> u64 {
        self.sessions.len().div_ceil(self.batch) as u64
    }

    /// The clicks on each item in the training sessions, item `i + 1` at `i`.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The batch of training step `step`, a function of it alone.
    pub fn draw(&self, step: u64) -> SessionBatch {
        let mut sessions: Vec<&[u32]> =
            self.chosen(step).into_iter().map(|session| self.latest(session)).collect();
        // Sessions of about one length share a part, so that little padding is worked through.
        sessions.sort_by_key(|session| session.len());
        let candidates = self.candidates(step, &sessions);
        SessionBatch::new(&sessions, candidates, self.tied, self.device)
    }

    /// The sessions of the batch of `step`.
    fn chosen(&self, step: u64) -> Vec<usize> {
        if self.order == Order::Random {
            let mut rng = stream(self.seed, Purpose::Batch, step);
            let count = self.batch.min(self.sessions.len());
            let drawn = index::sample(&mut rng, self.sessions.len(), count);
            return drawn.into_iter().map(|at| self.sessions[at]).collect();
        }
        let order = self.order_of(step / self.per_epoch());
        let from = (step % self.per_epoch()) as usize * self.batch;
        order[from..order.len().min(from + self.batch)].to_vec()
    }

    /// What is read of a session: its latest `history + 1` items.
    fn latest(&self, session: usize) -> &'a [u32] {
        let whole = self.sequences.get(session);
        &whole[whole.len().saturating_sub(self.history + 1)..]
    }

    fn candidates(&self, step: u64, sessions: &[&[u32]]) -> Candidates {
        let mut rng = stream(self.seed, Purpose::Negatives, step);
        let (mut items, mut starts) = (vec![], vec![0]);
        for session in sessions {
            items.extend_from_slice(&session[..session.len() - 1]);
            starts.push(items.len());
        }
        let clicks = Clicks { items: &items, starts: &starts };
        let catalogue = self.counts.len();
        let mut drawn = Candidates { shared: vec![], of_session: vec![], of_position: vec![] };
        let of = |per| self.sources.iter().filter(move |source| source.per == per);
        for source in of(Per::Batch) {
            source.draw(&mut rng, &clicks, 0, catalogue, &mut drawn.shared);
        }
        for session in 0..sessions.len() {
            for source in of(Per::Session) {
                source.draw(&mut rng, &clicks, session, catalogue, &mut drawn.of_session);
            }
            for _ in starts[session]..starts[session + 1] {
                for source in of(Per::Event) {
                    source.draw(&mut rng, &clicks, session, catalogue, &mut drawn.of_position);
                }
            }
        }
        drawn
    }

    fn order_of(&self, epoch: u64) -> Arc<Vec<usize>> {
        // A thread that panicked left at worst an older order, which names its epoch.
        let mut known = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = known.as_ref().filter(|(own, _)| *own == epoch) {
            return order.clone();
        }
        let mut order = self.sessions.clone();
        if self.order == Order::Shuffled {
            order.shuffle(&mut stream(self.seed, Purpose::Epoch, epoch));
        }
        let order = Arc::new(order);
        *known = Some((epoch, order.clone()));
        order
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
