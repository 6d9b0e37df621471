//! Moves a model batch by batch.

use anyhow::Result;
use tch::Tensor;

use super::{HostStep, Plan, Step, StepPath, TensorStep};
use crate::batch::Batch;
use crate::config::{Config, LogQ};
use crate::device::ComputePath;
use crate::model::Model;
use crate::optim::{Gradients, Optimisers, State};
use crate::profile::Profile;

/// A way to gradients, and the optimisers that they go to.
pub struct Stepper {
    step: Box<dyn Step>,
    optimisers: Optimisers,
    /// How items are composed of their features.
    path: ComputePath,
    profile: Profile,
}

impl Stepper {
    /// Optimisers at their start for `model` and a training of `steps` steps; `log_counts`
    /// `[items + 1]` is asked for where the loss corrects for the draws.
    pub fn new(
        config: &Config,
        plan: &Plan,
        model: &Model,
        steps: u64,
        log_counts: impl FnOnce() -> Vec<f32>,
    ) -> Self {
        let corrected = config.loss.log_q() != LogQ::None;
        let log_counts =
            corrected.then(|| Tensor::from_slice(&log_counts()).to_device(plan.device));
        let step: Box<dyn Step> = match plan.step {
            StepPath::TensorOps => Box::new(TensorStep::new(config, plan, log_counts)),
            StepPath::HostLoops => Box::new(HostStep::candidates(config, plan, log_counts)),
            StepPath::MeanPoolLoops => Box::new(HostStep::mean_pool(config)),
        };
        let (parameters, tables) = (model.parameters(), model.tables());
        let optimisers =
            Optimisers::new(&config.optimizer, steps, plan.optimizer, parameters, tables);
        Self { step, optimisers, path: plan.composing(), profile: Profile::default() }
    }

    /// Moves the model by step `step`, on its batch. Returns the mean loss of the batch's queries,
    /// a scalar on the run's device.
    pub fn step(&mut self, model: &Model, batch: &Batch, step: u64) -> Tensor {
        let gradients = self.gradients(model, batch, step);
        self.apply(&gradients);
        gradients.loss
    }

    /// What the batch of step `step` says about the weights; its rows are brought to the present.
    pub fn gradients(&mut self, model: &Model, batch: &Batch, step: u64) -> Gradients {
        let mut lap = self.profile.lap();
        let mut rows = match &batch.composition {
            Some(of) => model.items.rows_of(of),
            None => batch.rows.clone(),
        };
        rows.extend(batch.users.iter().map(|users| users.rows().clone()));
        self.optimisers.catch_up(&rows);
        self.profile.add("rows to the present", &mut lap);
        let Some(of) = &batch.composition else {
            return self.step.gradients(model, &model.items, batch, step, &mut self.profile);
        };
        let items = model.items.composed(of, self.path);
        self.profile.add("features", &mut lap);
        let mut own = self.step.gradients(model, &items, batch, step, &mut self.profile);
        let mut lap = self.profile.lap();
        let of_users = own.tables.split_off(items.tables().len());
        own.tables = model.items.decomposed(of, &own.tables, self.path);
        own.tables.extend(of_users);
        self.profile.add("features backward", &mut lap);
        own
    }

    /// Moves the model.
    pub fn apply(&mut self, gradients: &Gradients) {
        let mut lap = self.profile.lap();
        self.optimisers.apply(gradients);
        self.profile.add("optimiser", &mut lap);
    }

    /// Brings the whole model to the present. Must come before it is evaluated or saved.
    pub fn catch_up(&mut self) {
        self.optimisers.catch_up_all();
    }

    /// All that the next step depends on besides the weights, as it is; moments share memory.
    pub fn state(&self) -> State {
        self.optimisers.state()
    }

    /// Takes over what [`Stepper::state`] gave.
    ///
    /// # Errors
    /// Those of [`Optimisers::restore`].
    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.optimisers.restore(state)
    }

    /// Where the time of the steps went. On a GPU these are times of launching, not of computing.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
}
