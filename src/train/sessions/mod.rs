//! The training step of session models: every position of a session is a sample.
//!
//! The step is cut in two at the positions' vectors H. The encoder makes them from the rows of the
//! items that it reads, with autograd. The *head* takes scores of candidates with them and gives
//! the loss, ∂H and the gradient of the rows that were scored; it never makes a matrix of all
//! positions by all candidates. ∂H then goes back through the encoder.

mod by_row;
mod every;
mod head;
mod loops;
mod objective;
mod pass;
mod rows;
mod search;

use tch::Tensor;

use self::head::{Head, Outcome};
use self::loops::Loops;
use self::pass::Pass;
use super::Profile;
use crate::config::Config;
use crate::device::host_floats;
use crate::optim::{ParameterOptimizer, RowGradient, Rule, TableOptimizer};
use crate::sampling::{Rows, SessionBatch, touched};
use crate::tower::TwoTower;

/// A session model's objective and optimisers.
pub struct SessionStepper {
    head: Head,
    /// The head's way on a host.
    loops: Option<Loops>,
    pass: Pass,
    /// One for each of the encoder's parameters, in its order.
    encoder: Vec<ParameterOptimizer>,
    items: TableOptimizer,
    /// Of the table that scores are taken with, where it is not `items`.
    outputs: Option<TableOptimizer>,
    profile: Profile,
}

impl SessionStepper {
    /// Optimisers at their start for `model`; `counts` are the clicks on each item in the training
    /// sessions; over `steps` steps.
    pub fn new(config: &Config, model: &TwoTower, counts: &[u64], steps: u64) -> Self {
        let rule = Rule::over(&config.optimizer, steps);
        let table = |table: &Tensor| TableOptimizer::new(&config.optimizer, &rule, table);
        let own = |parameter: &Tensor| ParameterOptimizer::new(&config.optimizer, &rule, parameter);
        Self {
            head: Head::new(config, model, counts),
            loops: loops(config, model),
            encoder: model.encoder.parameters().iter().map(|(_, p)| own(p)).collect(),
            pass: Pass::new(config, model),
            items: table(&model.items.weights()),
            outputs: model.outputs.as_ref().map(|outputs| table(&outputs.weights())),
            profile: Profile::default(),
        }
    }

    /// Moves the model by one step on `batch`, the batch of step `step`. Returns the mean loss of
    /// its positions, a scalar on the run's device.
    pub fn step(&mut self, model: &TwoTower, batch: &SessionBatch, step: u64) -> Tensor {
        let mut lap = self.profile.lap();
        self.bring(model, batch);
        self.profile.add("rows to the present", &mut lap);
        let passed = self.pass.forward(model, batch, step);
        self.profile.add("encoder", &mut lap);
        let outcome = match &mut self.loops {
            Some(loops) => loops.run(&self.head, model, &passed.vectors(), batch),
            None => self.head.run(model, &passed.vectors(), batch),
        };
        self.profile.add("scores and loss", &mut lap);
        let parameters = model.encoder.parameters();
        let (gradients, read) = self.pass.backward(&parameters, batch, &passed, &outcome.vectors);
        self.profile.add("encoder backward", &mut lap);
        for ((optimizer, (_, parameter)), gradient) in
            self.encoder.iter_mut().zip(&parameters).zip(&gradients)
        {
            optimizer.step(parameter, gradient);
        }
        self.move_rows(model, batch, &read, &outcome);
        self.profile.add("optimiser", &mut lap);
        outcome.loss
    }

    /// Brings the rows that a batch reads to the present.
    fn bring(&mut self, model: &TwoTower, batch: &SessionBatch) {
        let items = model.items.weights();
        match (&batch.rows, &mut self.outputs) {
            (Rows::Apart { inputs, scored }, Some(outputs)) => {
                self.items.catch_up(&items, inputs);
                outputs.catch_up(&model.scored().weights(), scored);
            }
            (Rows::Tied(rows), None) => self.items.catch_up(&items, rows),
            _ => unreachable!("batches are drawn for the tables of the model"),
        }
    }

    /// Moves the tables: `read` `[positions, dim]` is the gradient of the rows that were read.
    fn move_rows(
        &mut self,
        model: &TwoTower,
        batch: &SessionBatch,
        read: &Tensor,
        outcome: &Outcome,
    ) {
        let items = model.items.weights();
        let whole = |rows, values| RowGradient { rows, values, sources: None };
        let values = &outcome.scored;
        match (&batch.rows, &mut self.outputs) {
            (Rows::Apart { inputs, scored }, Some(outputs)) => {
                self.items.step_rows(&items, &whole(inputs, read));
                let moved = outcome.touched.as_ref().map(|ids| touched(ids.shallow_clone()));
                let scored = moved.as_ref().unwrap_or(scored);
                outputs.step_rows(&model.scored().weights(), &whole(scored, values));
            }
            (Rows::Tied(rows), None) => {
                let values = Tensor::cat(&[read, values], 0);
                let ids = outcome.touched.as_ref().map(|ids| Tensor::cat(&[&batch.inputs, ids], 0));
                let moved = ids.map(touched);
                self.items.step_rows(&items, &whole(moved.as_ref().unwrap_or(rows), &values));
            }
            _ => unreachable!("batches are drawn for the tables of the model"),
        }
    }

    /// Where the time of the steps went. On a GPU these are times of launching, not of computing.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Brings the whole model to the present. Must come before it is evaluated or saved.
    pub fn catch_up(&mut self, model: &TwoTower) {
        self.items.catch_up_all(&model.items.weights());
        if let Some(outputs) = &mut self.outputs {
            outputs.catch_up_all(&model.scored().weights());
        }
    }
}

/// The loops, on a host, in float32, unless the configuration asks for tensor ops.
fn loops(config: &Config, model: &TwoTower) -> Option<Loops> {
    let host = host_floats(&model.scored().weights()).is_some();
    let top_k = Some(config.sampling.top_k).filter(|&k| k > 0);
    (host && config.train.fused).then(|| Loops::new(top_k))
}

#[cfg(test)]
mod tests;
