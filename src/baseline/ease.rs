//! `ease`: the linear model of items by items that has a closed form.

use anyhow::{Context, Result};
use rayon::prelude::*;
use tch::Tensor;

use super::cooccurrence::Occurrences;
use super::{Training, cholesky, row_by_row};
use crate::data::distinct;
use crate::eval::Scorer;
use crate::misuse;

/// EASE^R (Steck, WWW 2019): B that makes ‖X − X·B‖² + λ‖B‖² least under diag(B) = 0, where X
/// `[users, items]` says who met what. With P = (XᵀX + λI)⁻¹ it is B_ij = −P_ij / P_jj. An item's
/// score is the sum of its column over the distinct items of the history, and, where repeats count,
/// so many times a constant as the history has it.
pub struct Ease {
    /// B `[items, items]`
    weights: Vec<f64>,
    items: usize,
    repeats: f64,
}

impl Ease {
    /// The largest catalogue: a table of its pairs takes 3.2 GB, and there are two at a time.
    pub const MOST_ITEMS: usize = 20_000;

    /// # Errors
    /// [`crate::error::Misuse`] for a catalogue of more than [`Ease::MOST_ITEMS`].
    pub fn check(items: usize) -> Result<()> {
        if items > Self::MOST_ITEMS {
            misuse!(
                "ease takes at most {} items, not {items}: it inverts a table of all pairs of \
                 items, which would take {:.0} GB of memory; choose others with --only, or prepare \
                 with a higher --min-item-count",
                Self::MOST_ITEMS,
                2.0 * 8e-9 * (items as f64).powi(2)
            );
        }
        Ok(())
    }

    /// Solves, in float64; a score gains `repeats` for each time that the history has its item.
    ///
    /// # Errors
    /// Those of [`Ease::check`]; a λ so small that the matrix has no inverse.
    pub fn fit(training: Training, lambda: f64, repeats: f64) -> Result<Self> {
        let items = training.items;
        Self::check(items)?;
        let gram = gram(training, lambda);
        let _guard = tch::no_grad_guard();
        let side = items as i64;
        let inverse = {
            let matrix = Tensor::from_slice(&gram).view([side, side]);
            drop(gram);
            let factor = cholesky(&matrix, "ease cannot be solved; raise ease.lambda")?;
            drop(matrix);
            factor.cholesky_inverse(false)
        };
        let diagonal = -inverse.diagonal(0, 0, 1);
        let mut weights = inverse / diagonal;
        let _ = weights.fill_diagonal_(0.0, false);
        let weights = Vec::try_from(weights.contiguous().view([-1])).context("cannot read B")?;
        Ok(Self { weights, items, repeats })
    }
}

/// XᵀX + λI, row by row.
fn gram(training: Training, lambda: f64) -> Vec<f64> {
    let occurrences = Occurrences::of(training);
    let mut gram = vec![0.0; training.items * training.items];
    let rows = gram.par_chunks_mut(training.items.max(1)).enumerate();
    rows.for_each_init(
        || occurrences.counter(),
        |counter, (item, row)| {
            for (id, users) in occurrences.users_of_both(counter, item as u32 + 1, None) {
                row[id as usize - 1] = f64::from(users);
            }
            row[item] += lambda;
        },
    );
    gram
}

impl Scorer for Ease {
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
        row_by_row(histories, scores, |history, row| {
            for id in distinct(history) {
                let weights = &self.weights[(id as usize - 1) * self.items..][..self.items];
                row.iter_mut().zip(weights).for_each(|(score, weight)| *score += weight);
            }
            history.iter().for_each(|&id| row[id as usize - 1] += self.repeats);
        });
        Ok(())
    }
}
