//! `transitions`: what came next after the latest item.

use anyhow::Result;

use super::cooccurrence::{Counter, Occurrences};
use super::sparse::Sparse;
use super::{Training, row_by_row};
use crate::eval::Scorer;

/// An item's score is how often it comes directly after the latest item of the history, in the
/// training sequences: a Markov chain of the first order.
pub struct Transitions {
    /// `[items, items]`: from, to.
    counts: Sparse,
}

impl Transitions {
    /// Counts.
    pub fn fit(training: Training) -> Self {
        let occurrences = Occurrences::of(training);
        let row = |counter: &mut Counter, item: usize| {
            let next = occurrences.next(counter, item as u32 + 1);
            next.into_iter().map(|(id, count)| (id - 1, count as f32)).collect()
        };
        Self { counts: Sparse::of_rows(training.items, || occurrences.counter(), row) }
    }
}

impl Scorer for Transitions {
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
        row_by_row(histories, scores, |history, row| {
            let latest = history.last().map(|&id| self.counts.row(id as usize - 1));
            for (item, count) in latest.into_iter().flatten() {
                row[item as usize] = f64::from(count);
            }
        });
        Ok(())
    }
}
