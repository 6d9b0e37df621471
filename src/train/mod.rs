//! Training: the step, the schedule, the run folder.

mod form;
mod fused;
mod log;
mod outcome;
mod profile;
mod run_folder;
mod sessions;
mod step;
mod stopping;
mod tensorboard;
mod trainer;

pub use outcome::{Outcome, UserRanks, by_name, peak_memory_mib};
pub use profile::Profile;
pub use run_folder::{RunFolder, refuse_foreign};
pub use sessions::SessionStepper;
pub use step::{Stepper, by_loops};
pub use trainer::{Event, Session, open_device, train};
