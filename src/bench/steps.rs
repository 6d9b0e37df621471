//! The clock of training steps.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use rand_distr::{Distribution, Zipf};
use tch::Device;

use crate::batch::{Batch, Drawer};
use crate::config::Config;
use crate::data::{Features, Field, FieldKind, Schema, Sequences};
use crate::device;
use crate::model::{Known, KnownItems, Model, ValueLists};
use crate::profile::Profile;
use crate::random::{Purpose, stream};
use crate::step::{Plan, Stepper};
use crate::train::{ValueRows, refuse_too_large};

/// Values of a field: about as many as Taobao has categories.
const VALUES: u32 = 10_000;

/// Steps before the first that counts.
pub const WARM_UP: u64 = 5;

/// Steps on a GPU that are waited for together: the host launches one while the device takes another,
/// as in a training.
const TOGETHER: u64 = 20;

/// What steps came to.
pub struct StepTimes {
    /// The median of a step, the wait for its batch included; on a GPU of the mean of 20 in a row.
    pub milliseconds: f64,
    /// Of each step, the warm-up's too.
    pub losses: Vec<f64>,
    /// Queries of a batch on average: users, or positions of sessions.
    pub queries: f64,
    /// All steps, the warm-up's too.
    pub steps: u64,
    /// Where the time of all steps went.
    pub profile: Profile,
    /// The operations of libtorch and the kernels of our own that a step comes to on the step's own
    /// thread.
    pub operations: Vec<String>,
}

/// Takes `steps` steps on batches of `sequences`, whose items are of a catalogue of `items`, with a
/// table of `rows` rows.
///
/// # Errors
/// When the configuration's device is not there, cannot hold the table, or cannot replay steps that
/// are to be.
pub fn timed(
    config: &Config,
    sequences: &Sequences,
    items: usize,
    rows: usize,
    steps: u64,
) -> Result<StepTimes> {
    let members = (0..sequences.len()).collect();
    let plan = Plan::open(config)?;
    plan.check_replay(config)?;
    let of_field = VALUES as usize + 2;
    let values = ValueRows { items: config.tower.item_features.len() * of_field, users: 0 };
    refuse_too_large(config, &plan, rows, sequences.items.len(), values, 1)?;
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
    let mut drawer = Drawer::new(config, plan.batches, assembly, sequences, members, items)?;
    let mut model = Model::new(&config.tower, rows, config.seed, plan.device);
    if !config.tower.item_features.is_empty() {
        let known = Known { items: Some(random_features(config, rows)), users: None };
        drawer = drawer.knowing(&known, config.tower.id_dropout);
        model = model.knowing(&known, config.seed);
    }
    let steps = WARM_UP + steps;
    let mut stepper = Stepper::new(config, plan, &model, steps, || drawer.log_counts());
    let (mut queries, mut losses) = (0, vec![]);
    let together = if plan.device == Device::Cpu { 1 } else { TOGETHER };
    let (times, operations) = drawer.run(0..steps + 1, |next| {
        let mut take = |some: Range<u64>, next: &mut dyn FnMut() -> Batch| {
            let (start, count) = (Instant::now(), some.end - some.start);
            for step in some {
                let batch = next();
                losses.push(stepper.step(&model, &batch, step));
                queries += batch.query_count();
            }
            device::synchronize(plan.device);
            1e3 * start.elapsed().as_secs_f64() / count as f64
        };
        take(0..WARM_UP, next);
        let firsts = (WARM_UP..steps).step_by(together as usize);
        let times: Vec<f64> = firsts.map(|at| take(at..steps.min(at + together), next)).collect();
        (times, device::operations(|| _ = take(steps..steps + 1, next)))
    });
    Ok(StepTimes {
        milliseconds: median(times),
        losses: losses[..steps as usize].iter().map(|loss| loss.double_value(&[])).collect(),
        queries: queries as f64 / (steps + 1) as f64,
        steps: steps + 1,
        profile: stepper.profile().clone(),
        operations,
    })
}

/// For each field that the configuration names one of [`VALUES`] values an item, by Zipf's law.
fn random_features(config: &Config, items: usize) -> KnownItems {
    let fields = config.tower.item_features.iter().map(|name| Field {
        name: name.clone(),
        kind: FieldKind::Category,
        values: (0..VALUES).map(|value| value.to_string()).collect(),
        bounds: vec![],
    });
    let schema = Schema { fields: fields.collect() };
    let mut rng = stream(config.seed, Purpose::Generation, 1);
    let first = schema.first_codes();
    let law = Zipf::new(f64::from(VALUES), 1.0).expect("a law over some values");
    let one_of = |_| -> Vec<u32> {
        first.iter().map(|first| first + 1 + law.sample(&mut rng) as u32).collect()
    };
    let codes = (0..items).flat_map(one_of).collect();
    let starts = (0..=items).map(|item| (item * first.len()) as u32).collect();
    let lists = Arc::new(ValueLists::new(&Features { schema, starts, codes }));
    KnownItems { lists, met: vec![true; items] }
}

/// The median, which a few disturbed steps do not move.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
