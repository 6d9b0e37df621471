//! What a batch says about the weights: the one thing that moves them.

use std::sync::Arc;

use tch::Tensor;

use super::TouchedRows;
use crate::device::memory;

/// The loss of a batch with the gradients of all that it was computed from.
pub struct Gradients {
    /// The mean over the batch's queries, a scalar on the run's device.
    pub loss: Tensor,
    /// Of each of the model's parameters, in its order and of its shape.
    pub parameters: Vec<Tensor>,
    /// Of each table, in the model's order.
    pub tables: Vec<RowGradient>,
}

/// The gradient of some rows of a table.
pub struct RowGradient {
    /// A row that stands twice gets the sum of its gradients.
    pub rows: Arc<TouchedRows>,
    /// `[sources, dim]`
    pub values: Tensor,
    /// `[places]`: for each place of `rows` its gradient's row in `values`; without it, they stand
    /// there in order. Items of one history share one gradient: it is not written out for each.
    pub sources: Option<Arc<Vec<u32>>>,
}

impl RowGradient {
    /// `values` `[places, dim]`: one gradient for each place of `rows`.
    pub fn new(rows: Arc<TouchedRows>, values: Tensor) -> Self {
        Self { rows, values: values.contiguous(), sources: None }
    }

    /// `[places, dim]`: one gradient for each place.
    pub fn expanded(&self) -> Tensor {
        match &self.sources {
            None => self.values.shallow_clone(),
            Some(sources) => {
                let sources: Vec<i64> = sources.iter().map(|&source| i64::from(source)).collect();
                let sources = Tensor::from_slice(&sources).to_device(self.values.device());
                self.values.index_select(0, &sources)
            }
        }
    }

    /// The values over host memory.
    pub(super) fn floats(&self) -> &[f32] {
        memory::floats(&self.values)
    }
}
