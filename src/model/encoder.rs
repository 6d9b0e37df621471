//! What every encoder can do.

use tch::Tensor;

use super::{Dropout, Layout};
use crate::optim::Named;

/// Turns histories into user vectors.
pub trait Encoder {
    /// The vector of every position of some histories, each from the items up to it and no later
    /// one: `rows` `[positions, dim]`, where `layout` says; `dropout` for training.
    /// Returns `[positions, dim]`, as the encoder leaves them.
    fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor;

    /// The vectors of whole histories, from the same; `[histories, dim]`.
    fn last(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor {
        self.positions(rows, layout, dropout).index_select(0, layout.last())
    }

    /// The trained parameters by name; the tensors share the encoder's memory.
    fn parameters(&self) -> Named;
}
