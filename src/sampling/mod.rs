//! Training batches: which users, which position of their history, which negatives.

mod batch;
mod negatives;

pub use batch::{Batch, Batches, pad};
pub use negatives::{NegativeSampler, Uniform};
