//! Training: the loop, its end, the run folder.

mod advice;
mod checkpoint;
mod context;
mod diverged;
mod event;
mod exact;
mod log;
mod losses;
mod memory;
mod opening;
mod run_folder;
mod sharing;
mod standing;
mod stopping;
mod tensorboard;
mod trained_run;
mod trainer;
mod training;
mod warm_start;

pub use context::RunContext;
pub use diverged::Diverged;
pub use event::Event;
pub use memory::{ValueRows, free as free_memory, peak_memory_mib, refuse_too_large};
pub use opening::{Asked, Start};
pub use run_folder::{
    Ending, Failure, Holder, LogIds, LogLine, LogTail, LogWriter, RunFolder, RunInfo, RunResult,
    TargetRanks, by_name,
};
pub use trained_run::TrainedRun;
pub use trainer::{train, train_with};

#[cfg(test)]
mod ranks_tests;
