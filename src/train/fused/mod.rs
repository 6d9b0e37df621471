//! Loss and gradients of a batch in loops over host memory, written by hand: the fast path beside
//! the composition of tensor ops in [`super::step`], for the mean-pool encoder in float32 on a CPU.
//!
//! With û = unit(pooled·K + b), t̂, n̂ the unit rows of targets and negatives and s = γ·û·n̂ᵀ, a
//! row of s gives slopes φ′ and one factor c ([`RowLoss`]), so that ∂s = c·φ′ and
//!
//! ∂û = γ·c·(φ′·n̂ − (Σφ′)·t̂),  ∂t̂ = −γ·c·(Σφ′)·û,  ∂n̂ = φ′ᵀ·(γ·c·û).
//!
//! Through y = unit(x) = r·x goes ∂x = r·(∂y − y·(y·∂y)). Work is cut by the batch's sizes alone:
//! results do not depend on the number of threads.

mod pairs;
mod towers;

use tch::Tensor;

use super::Profile;
use crate::device::{host_floats, host_ids};
use crate::loss::{PANEL, RowLoss, Sizes};
use crate::sampling::Batch;
use crate::simd::{self, Aligned, Level};
use crate::tower::{ItemTable, MeanPool};

/// The loss of a batch and its gradients.
pub struct Fused {
    loss: RowLoss,
    scale: f32,
    mask_hits: bool,
    level: Level,
    kept: Kept,
    /// `[2·batch + negatives, dim]`: gradients of pooled histories' items, targets, negatives.
    values: Tensor,
    /// For each place of a batch its row in `values`.
    sources: Vec<u32>,
    sources_of: [usize; 3],
}

/// What a batch comes to.
pub struct Outcome<'a> {
    pub loss: f64,
    /// Of the encoder's kernel `[dim, dim]` and bias `[dim]`.
    pub encoder: [Tensor; 2],
    /// As [`crate::optim::RowGradient`] has them.
    pub values: &'a Tensor,
    pub sources: &'a [u32],
}

/// Sizes of a batch and of its rows in memory.
#[derive(Clone, Copy, Default, PartialEq)]
struct Shape {
    batch: usize,
    length: usize,
    negatives: usize,
    dim: usize,
    /// `dim` rounded up to whole registers: what a row takes; the rest is 0.
    wide: usize,
    /// Panels of [`PANEL`] negatives.
    panels: usize,
}

/// Matrices that are kept from step to step, rows of `wide` or `PANEL` numbers.
#[derive(Default)]
struct Kept {
    shape: Shape,
    /// `[batch]` each.
    users: Vec<towers::User>,
    pooled: Aligned,
    /// γ·û
    user: Aligned,
    /// ∂(γ·û), then ∂x before the unit.
    user_gradient: Aligned,
    /// c·γ·û
    driven: Aligned,
    /// t̂, then ∂t̂.
    target: Aligned,
    target_gradient: Aligned,
    /// `[panels · PANEL]`: n̂, 1/|n|, ∂n̂; behind the last negative 0.
    negative: Aligned,
    negative_inverse: Aligned,
    negative_gradient: Aligned,
    /// `[panels, wide, PANEL]`: n̂ᵀ.
    across: Aligned,
    /// `[panels, rows of a group, PANEL]`: φ′.
    slopes: Aligned,
    /// The encoder's kernel and its transpose `[dim, wide]`.
    kernel: Aligned,
    kernel_across: Aligned,
}

impl Fused {
    /// For a loss at score scale γ.
    pub fn new(loss: RowLoss, scale: f64, mask_hits: bool) -> Self {
        Self {
            loss,
            scale: scale as f32,
            mask_hits,
            level: simd::level(),
            kept: Kept::default(),
            values: Tensor::zeros([0, 0], (tch::Kind::Float, tch::Device::Cpu)),
            sources: vec![],
            sources_of: [0; 3],
        }
    }

    /// Loss and gradients at the rows as they are: bring them to the present before.
    pub fn run(
        &mut self,
        items: &ItemTable,
        encoder: &MeanPool,
        batch: &Batch,
        profile: &mut Profile,
    ) -> Outcome<'_> {
        let mut lap = profile.lap();
        let (users, length) = batch.histories.size2().expect("histories are a matrix");
        let negatives = batch.negatives.size()[0] as usize;
        self.fit(users as usize, length as usize, negatives, items.dim() as usize);
        let table = items.weights();
        let table = host_floats(&table).expect("the fused step is taken on the host only");
        let (kernel, bias) = encoder.on_host().expect("as its table");
        let ids = batch.rows.ids();
        let ids = host_ids(ids);
        let kept = &mut self.kept;
        let shape = kept.shape;
        let (histories, rest) = ids.split_at(shape.batch * shape.length);
        let (targets, drawn) = rest.split_at(shape.batch);
        kept.take_kernel(kernel);
        rayon::join(
            || {
                towers::users(
                    self.level,
                    shape,
                    self.scale,
                    &kept.kernel,
                    bias,
                    (table, histories, targets),
                    (&mut kept.users, &mut kept.pooled, &mut kept.user, &mut kept.target),
                )
            },
            || {
                towers::negatives(
                    shape,
                    (table, drawn),
                    (&mut kept.negative, &mut kept.negative_inverse, &mut kept.across),
                )
            },
        );
        profile.add("towers", &mut lap);
        let hits = if self.mask_hits { batch.hits.as_slice() } else { &[] };
        let sizes = Sizes {
            batch: shape.batch,
            negatives: shape.negatives,
            catalogue: items.items() as f64,
        };
        let loss = kept.pairs(self.level, &self.loss, sizes, hits);
        profile.add("scores and loss", &mut lap);
        // SAFETY: contiguous, made by this type alone.
        let values = unsafe {
            std::slice::from_raw_parts_mut(self.values.data_ptr() as *mut f32, self.values.numel())
        };
        let encoder = kept.backward(self.level, self.scale, values);
        profile.add("backward", &mut lap);
        Outcome { loss, encoder, values: &self.values, sources: &self.sources }
    }

    /// Makes the matrices fit a batch; nothing is allocated while its sizes stay.
    fn fit(&mut self, batch: usize, length: usize, negatives: usize, dim: usize) {
        let wide = dim.next_multiple_of(16);
        let panels = negatives.div_ceil(PANEL);
        let shape = Shape { batch, length, negatives, dim, wide, panels };
        if self.sources_of != [batch, length, negatives] {
            self.sources_of = [batch, length, negatives];
            let histories = (0..batch * length).map(|place| (place / length) as u32);
            let rest = (0..batch + negatives).map(|at| (batch + at) as u32);
            self.sources = histories.chain(rest).collect();
        }
        if (Shape { length: self.kept.shape.length, ..shape }) != self.kept.shape {
            let rows = (2 * batch + negatives) as i64;
            self.values = Tensor::zeros([rows, dim as i64], (tch::Kind::Float, tch::Device::Cpu));
            self.kept = Kept::new(shape);
        }
        self.kept.shape = shape;
    }
}

impl Kept {
    fn new(shape: Shape) -> Self {
        let Shape { batch, dim, wide, panels, .. } = shape;
        let of_negatives = || Aligned::zeros(panels * PANEL * wide);
        let of_users = || Aligned::zeros(batch * wide);
        Self {
            shape,
            users: vec![towers::User::default(); batch],
            pooled: of_users(),
            user: of_users(),
            user_gradient: of_users(),
            driven: of_users(),
            target: of_users(),
            target_gradient: of_users(),
            negative: of_negatives(),
            negative_inverse: Aligned::zeros(panels * PANEL),
            negative_gradient: of_negatives(),
            across: of_negatives(),
            slopes: Aligned::zeros(panels * PANEL * pairs::GROUP),
            kernel: Aligned::zeros(dim * wide),
            kernel_across: Aligned::zeros(dim * wide),
        }
    }

    /// Copies the encoder's kernel `[dim, dim]`, and its transpose.
    fn take_kernel(&mut self, kernel: &[f32]) {
        let Shape { dim, wide, .. } = self.shape;
        for (at, value) in kernel.iter().enumerate() {
            let (row, column) = (at / dim, at % dim);
            self.kernel[row * wide + column] = *value;
            self.kernel_across[column * wide + row] = *value;
        }
    }
}

#[cfg(test)]
mod tests;
