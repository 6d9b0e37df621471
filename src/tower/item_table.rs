//! One vector an item: for histories, targets and negatives alike, or for some of them.

use tch::{Device, Tensor};

use super::glorot;
use crate::device::table_zeros;

/// `[items + 1, dim]`; row 0 is padding: never drawn, never ranked.
pub struct ItemTable {
    weights: Tensor,
}

impl ItemTable {
    /// Glorot-uniform rows for `items` items, and a zero row for padding.
    pub fn new(items: usize, dim: i64, seed: u64, device: Device) -> Self {
        Self::drawn(items, dim, 0, (seed, 0), device)
    }

    /// A table for scores alone, its numbers drawn apart from those of [`ItemTable::new`]; with
    /// `bias`, one column more at the end, all 0.
    pub fn for_scores(items: usize, dim: i64, bias: bool, seed: u64, device: Device) -> Self {
        Self::drawn(items, dim, i64::from(bias), (seed, 2), device)
    }

    fn drawn(items: usize, dim: i64, more: i64, (seed, part): (u64, u64), device: Device) -> Self {
        let drawn = glorot(items as i64 + 1, dim, seed, part, device);
        let weights = table_zeros(&[items as i64 + 1, dim + more], drawn.kind(), device);
        weights.narrow(1, 0, dim).copy_(&drawn);
        let _ = weights.get(0).zero_();
        Self { weights }
    }

    /// The rows of `ids` (int64, any shape): `[..., dim]`, a copy without history of gradients.
    pub fn gather(&self, ids: &Tensor) -> Tensor {
        let shape = [ids.size().as_slice(), &[self.dim()]].concat();
        self.weights.index_select(0, &ids.view(-1)).view(shape.as_slice())
    }

    /// The rows of all items, `[items, dim]`, sharing the table's memory: row `i` is item `i + 1`.
    pub fn rows(&self) -> Tensor {
        self.weights.narrow(0, 1, self.items() as i64)
    }

    /// The number of items, padding not counted.
    pub fn items(&self) -> usize {
        self.weights.size()[0] as usize - 1
    }

    /// The width of a vector.
    pub fn dim(&self) -> i64 {
        self.weights.size()[1]
    }

    /// The whole table `[items + 1, dim]`, sharing its memory.
    pub fn weights(&self) -> Tensor {
        self.weights.shallow_clone()
    }
}
