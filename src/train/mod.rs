//! Training: the step, the schedule, the run folder.

mod log;
mod run_folder;
mod step;
mod stopping;
mod tensorboard;
mod trainer;

pub use run_folder::RunFolder;
pub use step::Stepper;
pub use trainer::{Event, Outcome, Session, train};
