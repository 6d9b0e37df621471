//! Training: the loop, its end, the run folder.

mod advice;
mod log;
mod memory;
mod run_folder;
mod stopping;
mod tensorboard;
mod trained_run;
mod trainer;

pub use memory::peak_memory_mib;
pub use run_folder::{
    Ending, Failure, LogIds, LogLine, LogTail, LogWriter, RunFolder, RunInfo, RunResult,
    TargetRanks, by_name, refuse_foreign,
};
pub use trained_run::TrainedRun;
pub use trainer::{Event, RunContext, train};
