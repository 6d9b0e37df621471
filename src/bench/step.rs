//! Milliseconds a training step of the two-tower model.

use std::time::Instant;

use anyhow::Result;
use rand::RngExt;

use super::{WARM_UP, median};
use crate::config::Config;
use crate::data::Sequences;
use crate::device;
use crate::random::{Purpose, stream};
use crate::sampling::BatchSource;
use crate::tower::TwoTower;
use crate::train::{Profile, Stepper, by_loops, open_device};

/// Training steps on random sequences that are all longer than a history.
pub struct StepBench<'a> {
    /// Batch, history, loss, optimiser, device; `data.path` is not read.
    pub config: &'a Config,
    /// Items that sequences and negatives are drawn from, uniform.
    pub items: usize,
    /// Rows of the table, at least `items`: more, and the step's own rows stay as many.
    pub rows: usize,
    /// Steps that count.
    pub steps: u64,
}

/// What the steps came to.
pub struct StepTimes {
    /// The median of a step, the wait for its batch included.
    pub milliseconds: f64,
    /// All steps, the warm-up's too.
    pub steps: u64,
    /// Where the time of all steps went.
    pub profile: Profile,
    /// The operations of libtorch that a step comes to, its batch's among them.
    pub operations: Vec<String>,
}

impl StepBench<'_> {
    /// Takes the steps.
    ///
    /// # Errors
    /// When the configuration's device is not there.
    pub fn run(&self) -> Result<StepTimes> {
        let config = self.config;
        let device = open_device(config)?;
        let (batch, history) = (config.sampling.batch, config.tower.history);
        let users = 40 * batch;
        let mut rng = stream(config.seed, Purpose::Generation, 0);
        let sequences = Sequences {
            items: (0..users * (history + 1))
                .map(|_| rng.random_range(1..=self.items as u32))
                .collect(),
            offsets: (0..=users).map(|user| user * (history + 1)).collect(),
        };
        // Every target is the last item of its sequence: all histories have full length.
        let mut config = config.clone();
        config.sampling.first_position = history;
        let (config, users) = (&config, (0..users).collect());
        let loops = by_loops(config, device);
        let batches = BatchSource::new(config, &sequences, users, self.items, loops, device)?;
        let model = TwoTower::new(&config.tower, self.rows, config.seed, device);
        let steps = WARM_UP + self.steps;
        let mut stepper = Stepper::new(config, &model, steps);
        let (times, operations) = batches.run(0..steps + 1, |next| {
            let step = |_| {
                let start = Instant::now();
                let _ = stepper.step(&model, &next());
                device::synchronize(device);
                1e3 * start.elapsed().as_secs_f64()
            };
            let times: Vec<f64> = (0..steps).map(step).collect();
            (times, device::operations(|| drop(stepper.step(&model, &next()))))
        });
        Ok(StepTimes {
            milliseconds: median(times[WARM_UP as usize..].to_vec()),
            steps,
            profile: stepper.profile().clone(),
            operations,
        })
    }
}
