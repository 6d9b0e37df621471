//! The two towers: an item table, and an encoder that turns a history's rows into a user vector.

mod item_table;
mod mean_pool;
mod model;

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use crate::random::{Purpose, stream};

pub use item_table::ItemTable;
pub use mean_pool::MeanPool;
pub use model::{TwoTower, Weights, save};

/// Turns histories into user vectors.
pub trait Encoder {
    /// `rows` `[batch, history, dim]`: the history's item vectors, oldest first, padded at the end;
    /// `mask` `[batch, history]`: 1 where there is an item, 0 where there is padding.
    /// Returns `[batch, dim]`, not yet of unit length.
    fn encode(&self, rows: &Tensor, mask: &Tensor) -> Tensor;

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
/// numbers the matrices of a model, so that each draws numbers of its own.
fn glorot(rows: i64, columns: i64, seed: u64, part: u64, device: Device) -> Tensor {
    let limit = (6.0 / (rows + columns) as f64).sqrt() as f32;
    let mut rng = stream(seed, Purpose::Initialisation, part);
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-limit..limit)).collect();
    Tensor::from_slice(&values).view([rows, columns]).to_device(device)
}
