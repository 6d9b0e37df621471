//! The clock of training steps.

use std::time::Instant;

use anyhow::Result;

use crate::batch::{Batch, Drawer};
use crate::config::Config;
use crate::data::Sequences;
use crate::device;
use crate::model::Model;
use crate::profile::Profile;
use crate::step::{Plan, Stepper};
use crate::train::refuse_too_large;

/// Steps before the first that counts.
pub const WARM_UP: u64 = 5;

/// What steps came to.
pub struct StepTimes {
    /// The median of a step, the wait for its batch included.
    pub milliseconds: f64,
    /// Of each step, the warm-up's too.
    pub losses: Vec<f64>,
    /// Queries of a batch on average: users, or positions of sessions.
    pub queries: f64,
    /// All steps, the warm-up's too.
    pub steps: u64,
    /// Where the time of all steps went.
    pub profile: Profile,
    /// The operations of libtorch that a step comes to on the step's own thread.
    pub operations: Vec<String>,
}

/// Takes `steps` steps on batches of `sequences`, whose items are of a catalogue of `items`, with a
/// table of `rows` rows.
///
/// # Errors
/// When the configuration's device is not there, or cannot hold the table.
pub fn timed(
    config: &Config,
    sequences: &Sequences,
    items: usize,
    rows: usize,
    steps: u64,
) -> Result<StepTimes> {
    let members = (0..sequences.len()).collect();
    let plan = Plan::open(config)?;
    refuse_too_large(config, plan.device, rows)?;
    taken(config, &plan, sequences, members, items, rows, steps)
}

/// Takes `steps` steps by `plan`, on batches of some `members` of `sequences`, whose items are of a
/// catalogue of `items`, with a table of `rows` rows.
///
/// # Errors
/// When these are too few for the configuration.
pub fn taken(
    config: &Config,
    plan: &Plan,
    sequences: &Sequences,
    members: Vec<usize>,
    items: usize,
    rows: usize,
    steps: u64,
) -> Result<StepTimes> {
    let assembly = plan.assembly(config);
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, items)?;
    let model = Model::new(&config.tower, rows, config.seed, plan.device);
    let steps = WARM_UP + steps;
    let mut stepper = Stepper::new(config, plan, &model, steps, || drawer.log_counts());
    let (mut queries, mut losses) = (0, vec![]);
    let (times, operations) = drawer.run(0..steps + 1, |next| {
        let mut step = |step, next: &mut dyn FnMut() -> Batch| {
            let start = Instant::now();
            let batch = next();
            losses.push(stepper.step(&model, &batch, step));
            device::synchronize(plan.device);
            queries += batch.query_count();
            1e3 * start.elapsed().as_secs_f64()
        };
        let times: Vec<f64> = (0..steps).map(|at| step(at, next)).collect();
        (times, device::operations(|| _ = step(steps, next)))
    });
    Ok(StepTimes {
        milliseconds: median(times[WARM_UP as usize..].to_vec()),
        losses: losses[..times.len()].iter().map(|loss| loss.double_value(&[])).collect(),
        queries: queries as f64 / (steps + 1) as f64,
        steps: steps + 1,
        profile: stepper.profile().clone(),
        operations,
    })
}

/// The median, which a few disturbed steps do not move.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
