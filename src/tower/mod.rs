//! The two towers: an item table, and an encoder that turns a history's rows into a user vector.

mod dropout;
mod gru;
mod item_table;
mod layout;
mod mean_pool;
mod model;
mod transformer;

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use crate::random::{Purpose, stream};

pub use dropout::Dropout;
pub use gru::Gru;
pub use item_table::ItemTable;
pub use layout::Layout;
pub use mean_pool::MeanPool;
pub use model::{TwoTower, Weights, save};
pub use transformer::Transformer;

/// Turns histories into user vectors.
pub trait Encoder {
    /// The vector of every position of some histories, each from the items up to it and no later
    /// one: `rows` `[positions, dim]`, where `layout` says; `dropout` for training.
    /// Returns `[positions, dim]`, not yet of unit length.
    fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor;

    /// The vector of whole histories: `rows` `[batch, history, dim]`, oldest first, padded at the
    /// end; `mask` `[batch, history]`: 1 where there is an item, 0 where there is padding.
    /// Returns `[batch, dim]`, not yet of unit length.
    fn encode(&self, rows: &Tensor, mask: &Tensor, dropout: Option<&Dropout>) -> Tensor {
        let layout = Layout::padded(mask);
        let rows = rows.flatten(0, 1);
        self.positions(&rows, &layout, dropout).index_select(0, layout.last())
    }

    /// The trained parameters by name; the tensors share the encoder's memory.
    fn parameters(&self) -> Vec<(&'static str, Tensor)>;

    /// The mean-pool encoder, if it is one: there is a faster path for it.
    fn as_mean_pool(&self) -> Option<&MeanPool> {
        None
    }
}

/// v / √(|v|² + 1e-8), along the last dimension: unit length, and 0 for a zero vector.
pub fn unit(v: &Tensor) -> Tensor {
    v * inverse_length(v)
}

/// 1 / √(|v|² + 1e-8), along the last dimension, which stays as one of size 1.
pub fn inverse_length(v: &Tensor) -> Tensor {
    (v.square().sum_dim_intlist(-1, true, None::<Kind>) + 1e-8).rsqrt()
}

/// A `[rows, columns]` matrix, uniform in ±√(6 / (rows + columns)) (Glorot), on `device`. `part`
/// numbers the tensors of a model, so that each draws numbers of its own.
fn glorot(rows: i64, columns: i64, seed: u64, part: u64, device: Device) -> Tensor {
    let limit = (6.0 / (rows + columns) as f64).sqrt();
    uniform(limit, &[rows, columns], seed, part, device)
}

/// A tensor, uniform in ±limit; `part` as for [`glorot`].
fn uniform(limit: f64, shape: &[i64], seed: u64, part: u64, device: Device) -> Tensor {
    let limit = limit as f32;
    let mut rng = stream(seed, Purpose::Initialisation, part);
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-limit..limit)).collect();
    Tensor::from_slice(&values).view(shape).to_device(device)
}

#[cfg(test)]
mod encoder_tests;
