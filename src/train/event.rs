//! What is told while a training goes on.

use crate::config::Metric;
use crate::data::Split;
use crate::profile::Profile;
use crate::step::Plan;

/// What an observer of a training run hears.
pub enum Event<'a> {
    /// Nothing is left that could refuse the run; it takes at most `steps` steps, of which `done` are
    /// those of a checkpoint.
    Started { steps: u64, done: u64, plan: &'a Plan },
    /// `step` steps are done; the mean loss of those since the last such event.
    Step { step: u64, loss: f64 },
    /// `done` of `users` users are ranked.
    Ranking { part: Split, done: u64, users: u64 },
    /// A validation is over.
    Validated { step: u64, metrics: &'a [(Metric, f64)], better: bool },
    /// The last step is done; `steps` are those of this part of the training, and where their time
    /// went.
    Trained { steps: u64, profile: &'a Profile },
    /// What the user may want to change, in a sentence that names the key.
    Advice(String),
    /// Training has stopped before its last step.
    Stopped { step: u64, best_step: u64 },
}
