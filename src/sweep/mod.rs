//! Grids of training runs from one TOML file, and their results.

mod begun;
mod file;
mod point;
mod result;
mod runner;

pub use begun::{begun, logs};
pub use file::SweepFile;
pub use point::{Filter, Point, Shard, folder_name};
pub use result::{PointResult, Status, collect};
pub use runner::{Event, Next, Runner, Task};
