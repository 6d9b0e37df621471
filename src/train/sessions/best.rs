//! The k best of many, kept while the many go by.

use std::cmp::Ordering;

/// A candidate of a position: its score and its slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub score: f32,
    pub slot: u32,
}

impl Scored {
    /// The better one first; of equals the one of the lower slot, so that the k best do not
    /// depend on the order in which candidates come.
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.slot.cmp(&other.slot))
    }
}

/// Keeps the k best by score: whatever reaches the threshold is written down, and when the list
/// is full, it is cut to the k best and the threshold raised to the last of them.
pub struct Best {
    k: usize,
    room: usize,
    list: Vec<Scored>,
}

impl Best {
    /// Keeps `k`, at least 1.
    pub fn new(k: usize) -> Self {
        // The longer the list, the fewer cuts; the shorter, the earlier the threshold rises.
        let room = 2 * k + 32;
        Self { k, room, list: Vec::with_capacity(room) }
    }

    /// Takes a candidate that reaches the threshold; returns the threshold from here on.
    #[inline]
    pub fn push(&mut self, scored: Scored, threshold: f32) -> f32 {
        self.list.push(scored);
        if self.list.len() < self.room { threshold } else { self.cut() }
    }

    /// Leaves the k best, in no order; returns the score that a further one must reach.
    fn cut(&mut self) -> f32 {
        if self.list.len() < self.k {
            return f32::NEG_INFINITY;
        }
        let (_, last, _) = self.list.select_nth_unstable_by(self.k - 1, Scored::order);
        let threshold = last.score;
        self.list.truncate(self.k);
        threshold
    }

    /// The k best, best first, or all where there are fewer; starts again from nothing.
    pub fn take(&mut self, to: &mut Vec<Scored>) {
        self.cut();
        self.list.sort_unstable_by(Scored::order);
        to.append(&mut self.list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;
    use rand::seq::SliceRandom;

    #[test]
    fn the_best_of_any_order_with_many_ties_are_those_of_sorting() {
        let mut rng = stream(1, Purpose::Negatives, 0);
        for (k, count) in [(1, 5), (3, 2), (7, 500), (100, 3000), (5, 5)] {
            let draw = |slot| Scored { score: (rng.random_range(0..40) as f32).sqrt(), slot };
            let mut all: Vec<Scored> = (0..count).map(draw).collect();
            let mut expected = all.clone();
            expected.sort_by(Scored::order);
            expected.truncate(k);
            let mut best = Best::new(k);
            for _ in 0..3 {
                all.shuffle(&mut rng);
                let mut threshold = f32::NEG_INFINITY;
                for scored in &all {
                    if scored.score >= threshold {
                        threshold = best.push(*scored, threshold);
                    }
                }
                let mut found = vec![];
                best.take(&mut found);
                assert_eq!(found, expected);
            }
        }
    }
}
