//! Loss and gradients of a batch of the two-tower model with the mean-pool encoder: one loop for
//! everything, in which the matrix of users by negatives never stands whole in memory.
//!
//! With û = unit(pooled·K + b), t̂, n̂ the unit rows of targets and negatives and s = γ·û·n̂ᵀ, a
//! row of s gives slopes φ′ and one factor c ([`RowLoss`]), so that ∂s = c·φ′ and
//!
//! ∂û = γ·c·(φ′·n̂ − (Σφ′)·t̂),  ∂t̂ = −γ·c·(Σφ′)·û,  ∂n̂ = φ′ᵀ·(γ·c·û).
//!
//! Through y = unit(x) = r·x goes ∂x = r·(∂y − y·(y·∂y)).

mod kept;
mod pairs;
mod towers;

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use self::kept::{Kept, Shape};
use self::towers::Weights;
use super::kernels::PANEL;
use super::row_loss::{RowLoss, Sizes};
use super::simd::{self, Level};
use crate::device::memory;
use crate::profile::Profile;

/// The loops; they keep their memory from step to step.
pub struct MeanPoolLoops {
    loss: RowLoss,
    scale: f32,
    epsilon: f32,
    level: Level,
    kept: Kept,
    /// `[2·batch + negatives, dim]`: gradients of pooled histories' items, targets, negatives.
    values: Tensor,
    /// For each place of a batch its row in `values`.
    sources: Arc<Vec<u32>>,
}

/// The weights at which gradients are taken.
pub struct MeanPoolWeights<'a> {
    /// `[items + 1, dim]`
    pub table: &'a [f32],
    pub dim: usize,
    /// `[dim, dim]`
    pub kernel: &'a [f32],
    /// `[dim]`
    pub bias: &'a [f32],
}

/// Item ids of a batch.
pub struct MeanPoolBatch<'a> {
    /// The items of all histories, one behind the other.
    pub items: &'a [i64],
    /// `[batch + 1]`: where each history begins in `items`.
    pub starts: &'a [u32],
    /// `[batch]`
    pub targets: &'a [i64],
    /// `[negatives]`
    pub negatives: &'a [i64],
    /// Negatives that do not count, ascending: (user, negative).
    pub hits: &'a [(u32, u32)],
}

/// What a batch comes to.
pub struct MeanPoolGradients {
    pub loss: f64,
    /// Of the encoder's kernel `[dim, dim]` and bias `[dim]`.
    pub encoder: [Tensor; 2],
    /// `[sources, dim]`: of rows. The memory is used again by the next step.
    pub values: Tensor,
    /// For each place of [items, targets, negatives] its gradient's row in `values`.
    pub sources: Arc<Vec<u32>>,
}

impl MeanPoolLoops {
    /// For a loss at score scale γ, and the ε of unit length.
    pub fn new(loss: RowLoss, scale: f64, epsilon: f64) -> Self {
        Self {
            loss,
            scale: scale as f32,
            epsilon: epsilon as f32,
            level: simd::level(),
            kept: Kept::default(),
            values: Tensor::zeros([0, 0], (Kind::Float, Device::Cpu)),
            sources: Arc::default(),
        }
    }

    /// Loss and gradients at the rows as they are, bring them to the present before; for a
    /// catalogue of N items.
    pub fn run(
        &mut self,
        weights: &MeanPoolWeights,
        batch: &MeanPoolBatch,
        catalogue: f64,
        profile: &mut Profile,
    ) -> MeanPoolGradients {
        let mut lap = profile.lap();
        self.fit(batch, weights.dim);
        let kept = &mut self.kept;
        let shape = kept.shape;
        kept.take_kernel(weights.kernel);
        let towers = Weights {
            table: weights.table,
            kernel: &kept.kernel,
            bias: weights.bias,
            scale: self.scale,
            epsilon: self.epsilon,
        };
        rayon::join(
            || {
                let from = (batch.items, batch.starts, batch.targets);
                let to = (
                    &mut kept.users[..],
                    &mut kept.pooled[..],
                    &mut kept.user[..],
                    &mut kept.target[..],
                );
                towers::users(self.level, shape, towers, from, to)
            },
            || {
                let to =
                    (&mut kept.negative[..], &mut kept.negative_inverse[..], &mut kept.across[..]);
                towers::negatives(shape, towers, batch.negatives, to)
            },
        );
        profile.add("towers", &mut lap);
        let sizes = Sizes {
            batch: shape.batch,
            negatives: shape.negatives,
            in_row: shape.negatives,
            catalogue,
        };
        let loss = kept.pairs(self.level, &self.loss, sizes, batch.hits);
        profile.add("scores and loss", &mut lap);
        // SAFETY: whoever got it from the last step has moved the rows by it and is done.
        let values = unsafe { memory::floats_mut(&self.values) };
        let encoder = kept.backward(self.level, self.scale, values);
        profile.add("backward", &mut lap);
        MeanPoolGradients {
            loss,
            encoder,
            values: self.values.shallow_clone(),
            sources: self.sources.clone(),
        }
    }

    /// Makes the matrices fit a batch; nothing is allocated while its sizes stay.
    fn fit(&mut self, of: &MeanPoolBatch, dim: usize) {
        let (batch, negatives) = (of.targets.len(), of.negatives.len());
        let wide = dim.next_multiple_of(16);
        let panels = negatives.div_ceil(PANEL);
        let shape = Shape { batch, negatives, dim, wide, panels };
        let sources = Arc::make_mut(&mut self.sources);
        sources.clear();
        for (user, history) in of.starts.windows(2).enumerate() {
            sources.resize(history[1] as usize, user as u32);
        }
        sources.extend((batch..2 * batch + negatives).map(|at| at as u32));
        if shape != self.kept.shape {
            let rows = (2 * batch + negatives) as i64;
            self.values = Tensor::zeros([rows, dim as i64], (Kind::Float, Device::Cpu));
            self.kept = Kept::new(shape);
        }
    }
}
