//! The pair matrix: scores, loss and gradients, a group of rows at a time, so that its part of the
//! matrix stays in the cache.

use rayon::prelude::*;

use super::{Kept, Shape};
use crate::loss::{RowLoss, RowOutcome, Sizes};
use crate::simd::{Level, Matrix, gemm};

/// Rows of the matrix that are held at once.
pub const GROUP: usize = 128;

/// Rows a task in the first half of a group's work, negatives a task in the second.
const ROWS: usize = 16;
const NEGATIVES: usize = 128;

impl Kept {
    /// The loss; ∂(γ·û), ∂t̂ and ∂n̂. `hits`: (row, negative) that do not count, ascending.
    pub fn pairs(
        &mut self,
        level: Level,
        loss: &RowLoss,
        sizes: Sizes,
        hits: &[(u32, u32)],
    ) -> f64 {
        let Shape { batch, negatives, wide, stride, .. } = self.shape;
        let mut total = 0.0;
        for from in (0..batch).step_by(GROUP) {
            let rows = from..batch.min(from + GROUP);
            let of_rows = rows.start * wide..rows.end * wide;
            let losses: Vec<f64> = self.scores[..rows.len() * stride]
                .par_chunks_mut(ROWS * stride)
                .zip(self.users[rows.clone()].par_chunks(ROWS))
                .zip(self.user[of_rows.clone()].par_chunks(ROWS * wide))
                .zip(self.target[of_rows.clone()].par_chunks(ROWS * wide))
                .zip(self.user_gradient[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .zip(self.target_gradient[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .zip(self.driven[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .enumerate()
                .map(|(task, ((((((scores, users), user), target), user_g), target_g), driven))| {
                    let count = users.len();
                    let left = Matrix { at: user.as_ptr(), row: wide, column: 1 };
                    let right = Matrix { at: self.across.as_ptr(), row: stride, column: 1 };
                    let to = scores.as_mut_ptr();
                    // SAFETY: user `[count, wide]`, across `[wide, stride]`, scores `[count, stride]`.
                    unsafe { gemm(level, [count, stride, wide], left, right, to, stride, false) };
                    let first = rows.start + task * ROWS;
                    let mut outcomes = [RowOutcome::default(); ROWS];
                    for (at, own) in users.iter().enumerate() {
                        let line = &mut scores[at * stride..][..stride];
                        line[negatives..].fill(f32::NEG_INFINITY);
                        for (_, negative) in hits_of(hits, first + at) {
                            line[*negative as usize] = f32::NEG_INFINITY;
                        }
                        outcomes[at] = loss.row(level, line, own.positive, sizes);
                    }
                    let left = Matrix { at: scores.as_ptr(), row: stride, column: 1 };
                    let right = Matrix { at: self.negative.as_ptr(), row: wide, column: 1 };
                    let to = user_g.as_mut_ptr();
                    // SAFETY: scores `[count, stride]`, negative `[negatives, wide]`, user_g
                    // `[count, wide]`.
                    unsafe { gemm(level, [count, wide, negatives], left, right, to, wide, false) };
                    for (at, own) in outcomes[..count].iter().enumerate() {
                        for k in at * wide..(at + 1) * wide {
                            driven[k] = own.factor * user[k];
                            user_g[k] = own.factor * (user_g[k] - own.slopes * target[k]);
                            target_g[k] = -own.slopes * driven[k];
                        }
                    }
                    outcomes.iter().map(|own| own.loss).sum()
                })
                .collect();
            total += losses.iter().sum::<f64>();
            let (scores, driven) = (&self.scores, &self.driven[of_rows]);
            self.negative_gradient.par_chunks_mut(NEGATIVES * wide).enumerate().for_each(
                |(task, to)| {
                    let column = &scores[task * NEGATIVES..];
                    let left = Matrix { at: column.as_ptr(), row: 1, column: stride };
                    let right = Matrix { at: driven.as_ptr(), row: wide, column: 1 };
                    let shape = [to.len() / wide, wide, rows.len()];
                    // SAFETY: scoresᵀ `[negatives of the task, rows]`, driven `[rows, wide]`.
                    unsafe { gemm(level, shape, left, right, to.as_mut_ptr(), wide, from > 0) };
                },
            );
        }
        total
    }
}

fn hits_of(hits: &[(u32, u32)], row: usize) -> &[(u32, u32)] {
    let start = hits.partition_point(|hit| (hit.0 as usize) < row);
    let end = hits.partition_point(|hit| hit.0 as usize <= row);
    &hits[start..end]
}
