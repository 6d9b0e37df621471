//! Training batches: which users, which position of their history, which negatives.

mod batch;
mod device_batches;
mod negatives;
mod sessions;
mod source;

pub use batch::{Batch, Batches, pad};
pub use device_batches::DeviceBatches;
pub use negatives::{NegativeSampler, Uniform};
pub use sessions::{Expected, Part, Rows, SessionBatch, SessionBatches, Setting, touched};
pub use source::{BatchSource, drawn_ahead};
