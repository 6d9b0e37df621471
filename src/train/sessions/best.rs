//! The k best of many, kept while the many go by.

/// A candidate of a position: its score and its slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub score: f32,
    pub slot: u32,
}

impl Scored {
    /// A whole number that is larger for the better one: by score, of equals the one of the lower
    /// slot, so that the k best do not depend on the order in which candidates come. Whole numbers
    /// are parted and compared some times faster than pairs.
    fn key(self) -> u64 {
        let bits = self.score.to_bits();
        // Below 0 the larger number has the smaller bits.
        let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        u64::from(ordered) << 32 | u64::from(!self.slot)
    }

    fn of(key: u64) -> Self {
        let ordered = (key >> 32) as u32;
        let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
        Self { score: f32::from_bits(bits), slot: !(key as u32) }
    }
}

/// Keeps the k best by score: whatever reaches the threshold is written down, and when the list
/// is full, it is cut to the k best and the threshold raised to the last of them.
pub struct Best {
    k: usize,
    room: usize,
    list: Vec<u64>,
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
        self.list.push(scored.key());
        if self.list.len() < self.room { threshold } else { self.cut() }
    }

    /// Leaves the k best; returns the score that a further one must reach.
    fn cut(&mut self) -> f32 {
        let Some(others) = self.list.len().checked_sub(self.k) else { return f32::NEG_INFINITY };
        let (_, last, _) = self.list.select_nth_unstable(others);
        let threshold = Scored::of(*last).score;
        self.list.drain(..others);
        threshold
    }

    /// The k best, or all where there are fewer, in an order that depends on them and on the order
    /// in which candidates came.
    pub fn finish(mut self) -> impl ExactSizeIterator<Item = Scored> {
        self.cut();
        self.list.into_iter().map(Scored::of)
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
            let draw = |slot| Scored { score: (rng.random_range(0..40) as f32).sqrt() - 3.0, slot };
            let mut all: Vec<Scored> = (0..count).map(draw).collect();
            let mut expected = all.clone();
            expected.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
            expected.truncate(k);
            for _ in 0..3 {
                all.shuffle(&mut rng);
                let mut best = Best::new(k);
                let mut threshold = f32::NEG_INFINITY;
                for scored in &all {
                    if scored.score >= threshold {
                        threshold = best.push(*scored, threshold);
                    }
                }
                let mut found: Vec<Scored> = best.finish().collect();
                found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
                assert_eq!(found, expected);
            }
        }
    }
}
