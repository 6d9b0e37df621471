//! Training batches: which users, which position of their history, which negatives.

mod batch;
mod device_batches;
mod negatives;
mod source;

pub use batch::{Batch, Batches, pad};
pub use device_batches::DeviceBatches;
pub use negatives::{NegativeSampler, Uniform};
pub use source::BatchSource;
