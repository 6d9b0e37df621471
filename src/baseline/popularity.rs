//! `popularity`: the same ranking for everybody.

use anyhow::Result;

use super::{Training, row_by_row};
use crate::eval::Scorer;

/// An item's score is how often it stands in the training sequences.
pub struct Popularity {
    /// `[items]`
    counts: Vec<f64>,
}

impl Popularity {
    /// Counts.
    pub fn fit(training: Training) -> Self {
        let counts = training.sequences.occurrences(training.users, training.items);
        Self { counts: counts.into_iter().map(|count| count as f64).collect() }
    }
}

impl Scorer for Popularity {
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
        row_by_row(histories, scores, |_, row| row.copy_from_slice(&self.counts));
        Ok(())
    }
}
