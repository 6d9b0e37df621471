//! Initial weights.

use rand::RngExt;
use tch::{Device, Tensor};

use crate::random::{Purpose, stream};

/// A `[rows, columns]` matrix, uniform in ±√(6 / (rows + columns)) (Glorot), on `device`. `part`
/// numbers the tensors of a model, so that each draws numbers of its own.
pub fn glorot(rows: i64, columns: i64, seed: u64, part: u64, device: Device) -> Tensor {
    let limit = (6.0 / (rows + columns) as f64).sqrt();
    uniform(limit, &[rows, columns], seed, part, device)
}

/// A tensor, uniform in ±limit; `part` as for [`glorot`].
pub fn uniform(limit: f64, shape: &[i64], seed: u64, part: u64, device: Device) -> Tensor {
    let limit = limit as f32;
    let mut rng = stream(seed, Purpose::Initialisation, part);
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-limit..limit)).collect();
    Tensor::from_slice(&values).view(shape).to_device(device)
}
