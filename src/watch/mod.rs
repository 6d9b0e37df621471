//! Runs looked at while they are trained: how far each of them is, what its log says, and how it
//! ended. Files are read, of hundreds of runs those that have changed; no lock is taken and nothing
//! is written.
//!
//! ```text
//! folders ─► place     which runs stand in them: of a run, a sweep, a search
//!              └─► run     a run, from its files ─► log     losses and validations
//!                                                     └─► losses, pace
//! ```

mod log;
mod losses;
mod pace;
mod place;
mod run;
mod watched;

#[cfg(test)]
pub mod fixtures;

pub use log::Log;
pub use losses::{Losses, thinned};
pub use pace::Pace;
pub use run::{Run, State};
pub use watched::Watched;
