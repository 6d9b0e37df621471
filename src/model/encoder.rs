//! What every encoder can do.

use tch::{Device, Tensor};

use super::{Dropout, Gru, Layout, MeanPool, Transformer};
use crate::config::{EncoderConfig, TowerConfig};
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

/// The encoder of a configuration, with initial weights drawn from `seed`.
pub fn build(config: &TowerConfig, seed: u64, device: Device) -> Box<dyn Encoder> {
    let (dim, history) = (config.dim, config.history as i64);
    match config.encoder {
        EncoderConfig::MeanPool => Box::new(MeanPool::new(dim, seed, device)),
        EncoderConfig::Transformer { layers, heads, dropout } => {
            Box::new(Transformer::new([dim, history, layers, heads], dropout, seed, device))
        }
        EncoderConfig::Gru { layers, dropout } => {
            Box::new(Gru::new([dim, layers], dropout, seed, device))
        }
    }
}
