//! Training batches: which users, which position of their history, which negatives.

mod ahead;
mod batch;
mod negatives;

pub use ahead::ahead;
pub use batch::{Batch, Batches, pad};
pub use negatives::{NegativeSampler, Uniform};
