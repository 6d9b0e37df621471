//! Optimisers. The item table is reached only through row ids and row gradients.

mod adam;

use tch::Tensor;

pub use adam::Adam;

/// The gradient of some rows of a table.
pub struct RowGradient<'a> {
    /// `[rows]` int64; an id that stands twice gets the sum of its gradients.
    pub ids: &'a Tensor,
    /// `[rows, dim]`
    pub values: &'a Tensor,
}
