//! The model: items, an encoder that turns histories into user vectors, the rule by which the two
//! are scored, and what scores gain by repeats.

mod between;
mod dropout;
mod encoder;
mod features;
mod gru;
mod initial;
mod items;
mod layout;
mod linear;
mod mean_pool;
#[allow(clippy::module_inception)]
mod model;
mod repeats;
mod saved;
mod scoring;
mod sharded;
mod transformer;

use tch::Device;

use crate::config::{EncoderConfig, TowerConfig};

pub use dropout::{Draws, Dropout};
pub use encoder::Encoder;
pub use features::{FeatureTable, PairLists, Pairs, ValueLists};
pub use gru::Gru;
pub use items::{Composition, ItemTable, Items, KnownItems};
pub use layout::{Layout, PackedLists};
pub use mean_pool::MeanPool;
pub use model::{Known, Model, Queries};
pub use repeats::{Additions, Buckets, Repeats};
pub use saved::save;
pub use scoring::Scoring;
pub use sharded::Asked;
pub use transformer::Transformer;

/// The encoder of a configuration, with initial weights drawn from `seed`.
fn build_encoder(config: &TowerConfig, seed: u64, device: Device) -> Box<dyn Encoder> {
    let (dim, history) = (config.dim, config.history as i64);
    match config.encoder {
        EncoderConfig::MeanPool => Box::new(MeanPool::new(dim, seed, device)),
        EncoderConfig::Transformer { layers, heads, dropout, layer } => {
            let shape = [dim, history, layers, heads];
            Box::new(Transformer::new(shape, layer, dropout, seed, device))
        }
        EncoderConfig::Gru { layers, dropout } => {
            Box::new(Gru::new([dim, layers], dropout, seed, device))
        }
    }
}

#[cfg(test)]
mod encoder_tests;
