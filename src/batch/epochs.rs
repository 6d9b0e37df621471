//! Which users or sessions a step's batch is made of.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::{SliceRandom, index};

use crate::config::Order;
use crate::random::{Purpose, stream};

/// Deals out users or sessions to batches.
pub struct Epochs {
    members: Vec<usize>,
    batch: usize,
    order: Order,
    seed: u64,
    /// The order of the epoch that was dealt from last.
    known: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

impl Epochs {
    /// Batches of `batch` of `members`, at least one of them; as many as a batch for
    /// [`Order::Random`].
    pub fn new(members: Vec<usize>, batch: usize, order: Order, seed: u64) -> Self {
        Self { members, batch, order, seed, known: Mutex::new(None) }
    }

    /// Batches an epoch: a pass over all members, whose last batch is what is left over; of random
    /// batches as many.
    pub fn length(&self) -> u64 {
        self.members.len().div_ceil(self.batch) as u64
    }

    /// Those of the batch of training step `step`, all distinct; random ones are drawn from `rng`.
    pub fn members(&self, step: u64, rng: &mut impl Rng) -> Vec<usize> {
        if self.order == Order::Random {
            let drawn = index::sample(rng, self.members.len(), self.batch);
            return drawn.into_iter().map(|at| self.members[at]).collect();
        }
        let order = self.order_of(step / self.length());
        let from = (step % self.length()) as usize * self.batch;
        order[from..order.len().min(from + self.batch)].to_vec()
    }

    fn order_of(&self, epoch: u64) -> Arc<Vec<usize>> {
        // A thread that panicked left at worst an older order, which names its epoch.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = known.as_ref().filter(|(own, _)| *own == epoch) {
            return order.clone();
        }
        let mut order = self.members.clone();
        if self.order == Order::Shuffled {
            order.shuffle(&mut stream(self.seed, Purpose::Epoch, epoch));
        }
        let order = Arc::new(order);
        *known = Some((epoch, order.clone()));
        order
    }
}
