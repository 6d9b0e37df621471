//! Rankings to beat: counted or solved on the training part, evaluated as the models are, and kept
//! with the dataset.

mod als;
mod cooccurrence;
mod ease;
mod item_knn;
mod kept;
mod popularity;
mod recipe;
mod run;
mod sparse;
mod transitions;

use anyhow::{Result, anyhow};
use rayon::prelude::*;
use tch::Tensor;

use crate::data::Sequences;

pub use als::{Als, AlsRecipe};
pub use ease::Ease;
pub use item_knn::ItemKnn;
pub use kept::{Asked, KeptResult, KeptResults, best_of};
pub use popularity::Popularity;
pub use recipe::Recipe;
pub use run::{Stage, run};
pub use transitions::Transitions;

/// The Cholesky factors of `[..., side, side]`; `cannot`: what is said where a matrix has none.
fn cholesky(matrix: &Tensor, cannot: &str) -> Result<Tensor> {
    matrix.f_linalg_cholesky(false).map_err(|error| {
        // libtorch tells its own stack behind the first line.
        let said = error.to_string();
        anyhow!("{cannot}: {}", said.lines().next().unwrap_or_default())
    })
}

/// What a baseline is fitted on: the whole sequences of the users who train.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    pub sequences: &'a Sequences,
    /// Who trains.
    pub users: &'a [usize],
    /// The size of the catalogue.
    pub items: usize,
}

impl<'a> Training<'a> {
    /// The sequence of each user who trains.
    fn each(&self) -> impl Iterator<Item = &'a [u32]> {
        let sequences = self.sequences;
        self.users.iter().map(|&user| sequences.get(user))
    }
}

/// Fills the rows of `scores`, one a history, on all threads.
fn row_by_row(histories: &[&[u32]], scores: &mut [f64], fill: impl Fn(&[u32], &mut [f64]) + Sync) {
    if let Some(items) = scores.len().checked_div(histories.len()).filter(|items| *items > 0) {
        scores.par_chunks_mut(items).zip(histories).for_each(|(row, history)| fill(history, row));
    }
}

#[cfg(test)]
mod tests;
