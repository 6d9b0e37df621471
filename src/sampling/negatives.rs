//! Samplers of negatives.

use rand::RngExt;

use crate::random::{Purpose, stream};

/// Draws the negatives of a batch.
pub trait NegativeSampler: Sync {
    /// Item ids for training step `step`: the same for the same step, whatever was drawn before.
    fn draw(&self, step: u64) -> Vec<i64>;
}

/// Uniform over the catalogue, with replacement, shared by the whole batch.
pub struct Uniform {
    /// Items in the catalogue; ids 1 to `items` are drawn, padding never.
    pub items: usize,
    /// M: draws a batch.
    pub count: usize,
    pub seed: u64,
}

impl NegativeSampler for Uniform {
    fn draw(&self, step: u64) -> Vec<i64> {
        let mut rng = stream(self.seed, Purpose::Negatives, step);
        (0..self.count).map(|_| rng.random_range(1..=self.items as i64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_drawn_equally_often_and_padding_never() {
        let sampler = Uniform { items: 10, count: 1000, seed: 3 };
        let mut counts = [0u32; 11];
        for step in 0..100 {
            sampler.draw(step).iter().for_each(|&id| counts[id as usize] += 1);
        }
        assert_eq!(counts[0], 0);
        // 10,000 expected, standard deviation 95.
        assert!(counts[1..].iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
        assert_eq!(sampler.draw(7), sampler.draw(7));
        assert_ne!(sampler.draw(7), sampler.draw(8));
    }
}
