//! `als`: factors of users and items by alternating least squares, for implicit feedback.

use anyhow::{Context, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::sparse::Sparse;
use super::{Training, cholesky};
use crate::eval::Scorer;
use crate::random::{Purpose, stream};

/// What [`Als`] is fitted with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlsRecipe {
    /// The width of a factor.
    pub factors: usize,
    /// How much an interaction adds to the confidence, which is 1 without any.
    pub alpha: f64,
    /// λ
    pub regularization: f64,
    /// Times that the factors of all users and of all items are solved.
    pub iterations: usize,
    /// Of the item factors that it begins with.
    pub seed: u64,
}

/// Factors x of users and y of items that make Σ c·(p − x·y)² + λ·(Σ‖x‖² + Σ‖y‖²) small, over all
/// pairs of a user and an item (Hu, Koren and Volinsky, ICDM 2008): p is 1 if the user has met the
/// item and else 0, c = 1 + α·(how often). An item's score is x·y, with x solved from the history.
pub struct Als {
    recipe: AlsRecipe,
    /// y `[items, factors]` float64.
    items: Tensor,
}

/// Of users that are solved together: entries of the sparse matrix, padding included, and users.
const ENTRIES: usize = 1 << 15;
const ROWS: usize = 512;

impl Als {
    /// Solves for users and items in turn. `progress` hears how many iterations more are done.
    ///
    /// # Errors
    /// Fails when a solve does.
    pub fn fit(
        training: Training,
        recipe: AlsRecipe,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let users: Vec<&[u32]> = training.each().collect();
        let by_user = counts(&users);
        let by_item = by_user.transposed(training.items);
        let first = Tensor::from_slice(&Self::initial_items(training.items, &recipe));
        let items = first.view([training.items as i64, recipe.factors as i64]);
        let mut als = Self { recipe, items };
        for _ in 0..recipe.iterations {
            let users = als.recipe.solve(&by_user, &als.items)?;
            als.items = als.recipe.solve(&by_item, &users)?;
            progress(1);
        }
        Ok(als)
    }

    /// Small numbers `[items, factors]`, drawn evenly.
    pub(super) fn initial_items(items: usize, recipe: &AlsRecipe) -> Vec<f64> {
        let mut rng = stream(recipe.seed, Purpose::Initialisation, 0);
        (0..items * recipe.factors).map(|_| rng.random_range(-0.01..0.01)).collect()
    }

    /// y `[items, factors]`
    #[cfg(test)]
    pub(super) fn item_factors(&self) -> Vec<f64> {
        Vec::try_from(self.items.view([-1])).unwrap()
    }
}

/// `[histories, items]`: how often each item stands in each history.
fn counts(histories: &[&[u32]]) -> Sparse {
    let row = |(): &mut (), at: usize| {
        let mut sorted = histories[at].to_vec();
        sorted.sort_unstable();
        sorted.chunk_by(|a, b| a == b).map(|same| (same[0] - 1, same.len() as f32)).collect()
    };
    Sparse::of_rows(histories.len(), || (), row)
}

impl AlsRecipe {
    /// The factors `[rows, factors]` of each row of `counts` that are best for those of its
    /// columns, `fixed` `[columns, factors]`: x = (YᵀY + λI + Σ α·r·y·yᵀ)⁻¹ · Σ (1 + α·r)·y, sums
    /// over the columns with r > 0.
    fn solve(&self, counts: &Sparse, fixed: &Tensor) -> Result<Tensor> {
        let of_all = fixed.tr().matmul(fixed)
            + Tensor::eye(self.factors as i64, (Kind::Double, Device::Cpu)) * self.regularization;
        let mut order: Vec<usize> = (0..counts.rows()).collect();
        order.sort_by_key(|&row| counts.length(row));
        let shape = [counts.rows() as i64, self.factors as i64];
        let mut solved = Tensor::zeros(shape, (Kind::Double, Device::Cpu));
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let fits = |(place, row): &(usize, &usize)| {
                *place < ROWS && (place + 1) * counts.length(**row) <= ENTRIES
            };
            let fitting = rest.iter().enumerate().take_while(fits).count().max(1);
            let (together, later) = rest.split_at(fitting);
            let rows: Vec<i64> = together.iter().map(|&row| row as i64).collect();
            let factors = self.solve_together(counts, together, fixed, &of_all)?;
            let _ = solved.index_copy_(0, &Tensor::from_slice(&rows), &factors);
            rest = later;
        }
        Ok(solved)
    }

    /// The same for some `rows`, the last of which is the longest.
    fn solve_together(
        &self,
        counts: &Sparse,
        rows: &[usize],
        fixed: &Tensor,
        of_all: &Tensor,
    ) -> Result<Tensor> {
        let longest = rows.iter().map(|&row| counts.length(row)).max().unwrap_or(0).max(1);
        let mut columns = vec![0i64; rows.len() * longest];
        // Padding is an item that was met 0 times, and to which nothing is drawn.
        let (mut met, mut drawn) = (vec![0f64; columns.len()], vec![0f64; columns.len()]);
        for (place, &row) in rows.iter().enumerate() {
            for (at, (column, count)) in (place * longest..).zip(counts.row(row)) {
                let confidence = self.alpha * f64::from(count);
                (columns[at], met[at], drawn[at]) =
                    (i64::from(column), confidence, 1.0 + confidence);
            }
        }
        let shape = [rows.len() as i64, longest as i64, 1];
        let read = |numbers: &[f64]| Tensor::from_slice(numbers).view(shape);
        let factors = fixed.index_select(0, &Tensor::from_slice(&columns));
        let factors = factors.view([shape[0], shape[1], self.factors as i64]);
        let transposed = factors.transpose(1, 2);
        let left = transposed.bmm(&(&factors * read(&met))) + of_all;
        let right = transposed.bmm(&read(&drawn));
        let factor = cholesky(&left, "als cannot be solved; raise als.regularization")?;
        Ok(right.cholesky_solve(&factor, false).squeeze_dim(2))
    }
}

impl Scorer for Als {
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let users = self.recipe.solve(&counts(histories), &self.items)?;
        let products = users.matmul(&self.items.tr()).contiguous();
        products.f_copy_data(scores, scores.len()).context("cannot read scores")
    }
}
