//! The best of many scored items, and the order that "best" means.

use std::cmp::Ordering;

/// A row of the item vectors with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Row of the item vectors: item id − 1.
    pub row: u32,
    /// Inner product of user and item vector.
    pub score: f32,
}

/// The order of recommendations: the higher score first, the lower row first among equal scores.
/// Scores are numbers.
pub fn order(a: &Hit, b: &Hit) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.row.cmp(&b.row))
}

/// Keeps the first few, by [`order`], of hits that come by rising row.
pub struct Best {
    wanted: usize,
    /// Up to twice as many as are wanted: sorting now and then costs less than at every hit.
    hits: Vec<Hit>,
    /// What a later hit must beat; of equal scores the earlier row wins.
    threshold: f32,
}

impl Best {
    /// Keeps `wanted` hits.
    pub fn new(wanted: usize) -> Self {
        let threshold = if wanted == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        Self { wanted, hits: vec![], threshold }
    }

    /// A hit whose score is not above this is not among the first.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes a hit that is above the threshold; its row is above all that were taken.
    pub fn push(&mut self, hit: Hit) {
        self.hits.push(hit);
        if self.hits.len() >= 2 * self.wanted {
            self.hits.select_nth_unstable_by(self.wanted - 1, order);
            self.hits.truncate(self.wanted);
            self.threshold = self.hits[self.wanted - 1].score;
        }
    }

    /// The hits in order.
    pub fn finish(self) -> Vec<Hit> {
        first(self.hits, self.wanted)
    }
}

/// The first `wanted` of some hits, in order.
pub fn first(mut hits: Vec<Hit>, wanted: usize) -> Vec<Hit> {
    if hits.len() > wanted && wanted > 0 {
        hits.select_nth_unstable_by(wanted - 1, order);
    }
    hits.truncate(wanted);
    hits.sort_unstable_by(order);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        // Scores that repeat every 7 rows, so that ties cross every cut.
        let all: Vec<Hit> = (0..500).map(|row| Hit { row, score: (row % 7) as f32 }).collect();
        for wanted in [0, 1, 2, 71, 72, 73, 499, 500, 600] {
            let mut best = Best::new(wanted);
            for hit in &all {
                if hit.score > best.threshold() {
                    best.push(*hit);
                }
            }
            let mut sorted = all.clone();
            sorted.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
            sorted.truncate(wanted);
            assert_eq!(best.finish(), sorted, "{wanted}");
            assert_eq!(first(all.iter().rev().copied().collect(), wanted), sorted, "{wanted}");
        }
    }
}
