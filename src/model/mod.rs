//! The model: items, an encoder that turns histories into user vectors, and the rule by which the
//! two are scored.

mod dropout;
mod encoder;
mod gru;
mod initial;
mod items;
mod layout;
mod mean_pool;
#[allow(clippy::module_inception)]
mod model;
mod scoring;
mod transformer;

pub use dropout::{Draws, Dropout};
pub use encoder::Encoder;
pub use gru::Gru;
pub use items::{ItemTable, Items};
pub use layout::Layout;
pub use mean_pool::MeanPool;
pub use model::{Model, Queries, save};
pub use scoring::Scoring;
pub use transformer::Transformer;

#[cfg(test)]
mod encoder_tests;
