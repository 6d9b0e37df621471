//! Training: the step, the schedule, the run folder.

mod form;
mod fused;
mod log;
mod memory;
mod profile;
mod run_folder;
mod sessions;
mod step;
mod stopping;
mod tensorboard;
mod trained_run;
mod trainer;

pub use memory::peak_memory_mib;
pub use profile::Profile;
pub use run_folder::{
    Ending, Failure, LogLine, LogTail, LogWriter, RunFolder, RunInfo, RunResult, TargetRanks,
    by_name, refuse_foreign,
};
pub use sessions::SessionStepper;
pub use step::{Stepper, by_loops};
pub use trained_run::TrainedRun;
pub use trainer::{Event, Session, open_device, train};
