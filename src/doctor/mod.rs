//! What a machine has for a training, and whether it computes what it should: `croloss doctor`.

mod check;
mod machine;

pub use check::{Check, Checks, STEPS, check};
pub use machine::{Gpu, Machine};
