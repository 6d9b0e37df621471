//! What a step keeps in memory for the next one.

use crate::host::kernels::PANEL;
use crate::host::simd::Aligned;

/// Rows of the pair matrix whose slopes are held at once.
pub const GROUP: usize = 128;

/// Sizes of a batch and of its rows in memory.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Shape {
    pub batch: usize,
    pub negatives: usize,
    pub dim: usize,
    /// `dim` rounded up to whole registers: what a row takes; the rest is 0.
    pub wide: usize,
    /// Panels of [`PANEL`] negatives.
    pub panels: usize,
}

/// Matrices that are kept from step to step, rows of `wide` or `PANEL` numbers.
#[derive(Default)]
pub struct Kept {
    pub shape: Shape,
    /// `[batch]` each.
    pub users: Vec<User>,
    pub pooled: Aligned,
    /// γ·û
    pub user: Aligned,
    /// ∂(γ·û), then ∂x before the unit.
    pub user_gradient: Aligned,
    /// c·γ·û
    pub driven: Aligned,
    /// t̂, then ∂t̂.
    pub target: Aligned,
    pub target_gradient: Aligned,
    /// `[panels · PANEL]`: n̂, 1/|n|, ∂n̂; behind the last negative 0.
    pub negative: Aligned,
    pub negative_inverse: Aligned,
    pub negative_gradient: Aligned,
    /// `[panels, wide, PANEL]`: n̂ᵀ.
    pub across: Aligned,
    /// `[panels, rows of a group, PANEL]`: φ′.
    pub slopes: Aligned,
    /// The encoder's kernel and its transpose `[dim, wide]`.
    pub kernel: Aligned,
    pub kernel_across: Aligned,
}

/// What the backward pass needs of a user besides vectors.
#[derive(Clone, Copy, Default)]
pub struct User {
    /// One through the number of items in the history, at least 1.
    pub share: f32,
    /// 1/|x| of the user's vector and of the target's.
    pub inverse: f32,
    pub target_inverse: f32,
    /// γ·û·t̂
    pub positive: f32,
}

impl Kept {
    /// Zeros for batches of `shape`.
    pub fn new(shape: Shape) -> Self {
        let Shape { batch, dim, wide, panels, .. } = shape;
        let of_negatives = || Aligned::zeros(panels * PANEL * wide);
        let of_users = || Aligned::zeros(batch * wide);
        Self {
            shape,
            users: vec![User::default(); batch],
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
            slopes: Aligned::zeros(panels * PANEL * GROUP),
            kernel: Aligned::zeros(dim * wide),
            kernel_across: Aligned::zeros(dim * wide),
        }
    }

    /// Copies the encoder's kernel `[dim, dim]`, and its transpose.
    pub fn take_kernel(&mut self, kernel: &[f32]) {
        let Shape { dim, wide, .. } = self.shape;
        for (at, value) in kernel.iter().enumerate() {
            let (row, column) = (at / dim, at % dim);
            self.kernel[row * wide + column] = *value;
            self.kernel_across[column * wide + row] = *value;
        }
    }
}
