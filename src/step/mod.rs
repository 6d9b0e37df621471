//! The training step: from a batch to the gradients of all weights, by tensor ops or by loops over
//! host memory, and the plan that says by which.

mod best;
mod encode;
mod loops;
mod objective;
mod plan;
mod replay;
mod stepper;
mod tensors;

use crate::batch::Batch;
use crate::model::{Items, Model};
use crate::optim::Gradients;
use crate::profile::Profile;

pub use loops::HostStep;
pub use objective::Objective;
pub use plan::{Plan, StepPath};
pub use stepper::Stepper;
pub use tensors::TensorStep;

/// A way from a batch to gradients.
pub trait Step {
    /// Loss and gradients of the batch of step `step`, at weights whose rows are in the present;
    /// `items`: the model's, or of them those that the batch is composed of.
    fn gradients(
        &mut self,
        model: &Model,
        items: &Items,
        batch: &Batch,
        step: u64,
        profile: &mut Profile,
    ) -> Gradients;
}

#[cfg(test)]
mod tests;
