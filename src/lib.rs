//! Trains the retrieval stage of recommender systems: user and item towers whose inner products
//! rank a whole catalogue, under losses that optimise Recall@N for the N that is needed.
//!
//! What flows through the crate goes one way: a raw log becomes [`data::Interactions`], then a
//! [`data::Dataset`], batches, towers, scores of one positive and many negatives, a loss, row
//! gradients, an optimiser step, a run folder, an exact ranking and its metrics.
//!
//! The library computes and never prints; [`cli`] is the thin layer that draws and prints.
//!
//! The rooms, what each holds and which uses which are in `docs/architecture.md` of the repository.

pub mod baseline;
pub mod batch;
pub mod bench;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod doctor;
pub mod error;
pub mod eval;
pub mod export;
pub mod fetch;
pub mod files;
pub mod folders;
pub mod formats;
pub mod host;
pub mod locks;
pub mod loss;
pub mod model;
pub mod optim;
pub mod profile;
pub mod random;
pub mod ranks;
pub mod reading;
pub mod report;
pub mod retrieve;
pub mod serve;
pub mod signals;
pub mod step;
pub mod sweep;
pub mod tensor_file;
pub mod train;
pub mod tune;
pub mod watch;
