//! Training: the loop, its end, the run folder.

mod log;
mod outcome;
mod run_folder;
mod stopping;
mod tensorboard;
mod trainer;

pub use outcome::{Outcome, UserRanks, by_name, peak_memory_mib};
pub use run_folder::{RunFolder, refuse_foreign};
pub use trainer::{Event, RunContext, train};
