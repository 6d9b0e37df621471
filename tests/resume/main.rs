//! A training that is cut off and gone on with, against the unbroken one.

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod killed;
mod runs;
mod signals;
mod started;
