//! Moves a model batch by batch.

use anyhow::Result;
use tch::Tensor;

use super::replay::Replay;
use super::{HostStep, Plan, Step, StepPath, TensorStep};
use crate::batch::Batch;
use crate::config::{Config, LogQ};
use crate::device::{ComputePath, memory};
use crate::model::{Asked, Model};
use crate::optim::{Gradients, Optimisers, State};
use crate::profile::Profile;

/// A way to gradients, and the optimisers that they go to.
pub struct Stepper {
    step: Box<dyn Step>,
    optimisers: Optimisers,
    /// How items are composed of their features.
    path: ComputePath,
    /// Where steps are replayed.
    replay: Option<Replay>,
    pub(super) profile: Profile,
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
        let mut optimisers =
            Optimisers::new(&config.optimizer, steps, plan.optimizer, parameters, tables);
        let replay = plan.replay.then(|| {
            optimisers.use_clock(plan.device);
            Replay::new()
        });
        Self { step, optimisers, path: plan.composing(), replay, profile: Profile::default() }
    }

    /// Moves the model by step `step`, on its batch. Returns the mean loss of the batch's queries,
    /// a scalar on the run's device.
    pub fn step(&mut self, model: &Model, batch: &Batch, step: u64) -> Tensor {
        let Some(mut replay) = self.replay.take() else {
            return self.step_by_launches(model, batch, step);
        };
        let loss = replay.step(self, model, batch, step);
        self.replay = Some(replay);
        loss
    }

    /// The same, each operation launched by itself.
    pub(super) fn step_by_launches(&mut self, model: &Model, batch: &Batch, step: u64) -> Tensor {
        let gradients = self.gradients(model, batch, step);
        self.apply(&gradients);
        gradients.loss
    }

    /// As [`Optimisers::get_ready`].
    pub(super) fn get_ready(&mut self) -> Vec<usize> {
        self.optimisers.get_ready()
    }

    /// Counts a step that is replayed.
    pub(super) fn count_replayed(&mut self) {
        self.optimisers.advance();
    }

    /// What the batch of step `step` says about the weights; its rows are brought to the present.
    pub fn gradients(&mut self, model: &Model, batch: &Batch, step: u64) -> Gradients {
        if !model.items.team().is_alone() {
            return self.gradients_of_ranks(model, batch, step);
        }
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

    /// The same where this rank has its part of the rows and of the batch: the loss and what moves the
    /// model are those of all ranks together.
    fn gradients_of_ranks(&mut self, model: &Model, batch: &Batch, step: u64) -> Gradients {
        let mut lap = self.profile.lap();
        let of = batch.composition.as_ref().expect("ranks draw batches by their places");
        let asked = Asked::new(model.items.team(), memory::ids(&of.ids));
        self.profile.add("asking for rows", &mut lap);
        let tables = model.items.tables().len();
        self.optimisers.catch_up(&vec![asked.rows.clone(); tables]);
        self.profile.add("rows to the present", &mut lap);
        let items = model.items.fetched(&asked);
        self.profile.add("fetching rows", &mut lap);
        let own = (batch.share > 0.0)
            .then(|| self.step.gradients(model, &items, batch, step, &mut self.profile));
        let mut lap = self.profile.lap();
        let of_tables = own.as_ref().map_or(&[][..], |own| &own.tables);
        let tables = model.items.returned(&asked, of_tables, batch.share);
        let (loss, parameters) = summed(model, own.as_ref(), batch.share);
        self.profile.add("giving gradients back", &mut lap);
        Gradients { loss, parameters, tables }
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
        // What optimisers keep on a device is made anew.
        self.replay = self.replay.take().map(|_| Replay::new());
        self.optimisers.restore(state)
    }

    /// Where the time of the steps went. On a GPU these are times of launching, not of computing.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
}

/// The loss of a step and the gradients of the parameters, of all ranks together; `own` counts for
/// this rank's `share` of the queries.
fn summed(model: &Model, own: Option<&Gradients>, share: f64) -> (Tensor, Vec<Tensor>) {
    let shapes: Vec<Vec<i64>> = model.parameters().iter().map(|(_, own)| own.size()).collect();
    let counts: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let mut values = vec![0f32; 1 + counts.iter().sum::<i64>() as usize];
    if let Some(own) = own {
        let all = [&own.loss].into_iter().chain(&own.parameters);
        let flat: Vec<Tensor> = all.map(|own| own.reshape([-1])).collect();
        let weighed = Tensor::cat(&flat, 0) * share;
        values.copy_from_slice(memory::floats(&weighed));
    }
    model.items.team().sum(&mut values);
    let values = Tensor::from_slice(&values);
    let parts = values.narrow(0, 1, values.size()[0] - 1).split_with_sizes(&counts, 0);
    let parameters = parts.iter().zip(&shapes).map(|(part, shape)| part.reshape(shape.as_slice()));
    (values.get(0), parameters.collect())
}
