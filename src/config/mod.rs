//! Typed configuration files and what is said when one of them is wrong.

mod explain;

pub use explain::{explain, nearest};
