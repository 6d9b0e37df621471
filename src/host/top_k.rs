//! The k best of many scored rows, kept while the many go by, and the order that "best" means.

use std::cmp::Ordering;

/// A row with its score, which is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Of item vectors: item id − 1.
    pub row: u32,
    /// Inner product of user and item vector.
    pub score: f32,
}

impl Hit {
    /// A whole number that is larger for the better one: by score, of equals the one of the lower
    /// row, so that the k best do not depend on the order in which hits come. Whole numbers are
    /// parted and compared some times faster than pairs.
    fn key(self) -> u64 {
        // −0 is 0.
        let bits = (self.score + 0.0).to_bits();
        // Below 0 the larger number has the smaller bits.
        let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        u64::from(ordered) << 32 | u64::from(!self.row)
    }

    fn of(key: u64) -> Self {
        let ordered = (key >> 32) as u32;
        let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
        Self { row: !(key as u32), score: f32::from_bits(bits) }
    }
}

/// The order of recommendations: the higher score first, the lower row first among equal scores.
pub fn order(a: &Hit, b: &Hit) -> Ordering {
    b.key().cmp(&a.key())
}

/// Keeps the k best by score: whatever reaches the threshold is written down, and when the list
/// is full, it is cut to the k best and the threshold raised to the last of them.
pub struct TopK {
    k: usize,
    room: usize,
    list: Vec<u64>,
    threshold: f32,
}

impl TopK {
    /// Keeps `k`.
    pub fn new(k: usize) -> Self {
        let threshold = if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        // The longer the list, the fewer cuts; the shorter, the earlier the threshold rises.
        Self { k, room: 2 * k + 32, list: vec![], threshold }
    }

    /// What a hit must reach to be among the best.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes a hit that reaches the threshold.
    #[inline]
    pub fn push(&mut self, hit: Hit) {
        self.list.push(hit.key());
        if self.list.len() >= self.room {
            self.cut();
        }
    }

    /// Leaves the k best.
    fn cut(&mut self) {
        let others = self.list.len().saturating_sub(self.k);
        if others > 0 && self.k > 0 {
            let (_, last, _) = self.list.select_nth_unstable(others);
            self.threshold = Hit::of(*last).score;
        }
        self.list.drain(..others);
    }

    /// The k best, or all where there are fewer, in an order that depends on them and on the order
    /// in which they came.
    pub fn finish(mut self) -> Vec<Hit> {
        self.cut();
        self.list.into_iter().map(Hit::of).collect()
    }
}

/// The first `wanted` of some hits, in order.
pub fn first(mut hits: Vec<Hit>, wanted: usize) -> Vec<Hit> {
    hits.sort_unstable_by(order);
    hits.truncate(wanted);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_best_of_any_order_with_many_ties_are_those_of_sorting(
            scores in vec(prop_oneof![8 => (-3i8..3).prop_map(f32::from), 1 => -1e30f32..1e30], 0..400),
            k in prop_oneof![0usize..9, 0usize..500],
            seed in any::<u64>(),
        ) {
            let mut all: Vec<Hit> =
                (0..).zip(scores).map(|(row, score)| Hit { row, score }).collect();
            let mut expected = all.clone();
            expected.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
            expected.truncate(k);
            all.sort_by_key(|hit| (u64::from(hit.row) + 1).wrapping_mul(seed | 1));
            let mut best = TopK::new(k);
            for hit in &all {
                if hit.score >= best.threshold() {
                    best.push(*hit);
                }
            }
            prop_assert_eq!(&first(best.finish(), k), &expected);
            prop_assert_eq!(first(all, k), expected);
        }
    }

    #[test]
    fn zero_has_no_sign() {
        let hits = [(2, 0.0), (1, -0.0), (3, -1e-30)].map(|(row, score)| Hit { row, score });
        let rows: Vec<u32> = first(hits.to_vec(), 3).iter().map(|hit| hit.row).collect();
        assert_eq!(rows, [1, 2, 3]);
    }
}
