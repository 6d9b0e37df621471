//! What is written by hand for a CPU: loops over host memory in float32. Each of them stands beside
//! a composition of tensor ops that defines what it computes, and is tested equal to it.
//!
//! Work is cut by the sizes of a batch alone: results do not depend on the number of threads.

pub mod candidates;
pub mod features;
mod kernels;
pub mod mean_pool;
mod padded;
pub mod panels;
pub mod ranking;
pub mod row_loss;
mod row_weighting;
pub mod simd;
pub mod top_k;
mod unit;
