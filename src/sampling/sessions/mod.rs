//! Batches of sessions, every position of which is a training sample, and their candidates.

mod alias;
mod batch;
mod draw;
mod sources;

pub use batch::{Part, Rows, SessionBatch, touched};
pub use draw::{SessionBatches, Setting};
pub use sources::Expected;
