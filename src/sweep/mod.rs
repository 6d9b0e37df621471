//! Grids of training runs from one TOML file, and their results.

mod result;

pub use result::{PointResult, Status};
