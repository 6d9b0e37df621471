//! Milliseconds a training step of a session model.

use std::time::Instant;

use anyhow::Result;
use rand::RngExt;

use super::{WARM_UP, median};
use crate::config::Config;
use crate::data::Sequences;
use crate::device;
use crate::random::{Purpose, stream};
use crate::sampling::{SessionBatches, Setting, drawn_ahead};
use crate::tower::TwoTower;
use crate::train::{Profile, SessionStepper, open_device};

/// Positions of a session on average, and its end's chance at each of them: with lengths that fall
/// geometrically, as Diginetica's do (3.85 positions, one session in twenty above 11).
const POSITIONS: f64 = 3.85;

/// Training steps on random sessions.
pub struct SessionStepBench<'a> {
    /// Tower, sampling, loss, optimiser, device; `data.path` is not read.
    pub config: &'a Config,
    pub items: usize,
    /// Steps that count.
    pub steps: u64,
}

/// What the steps came to.
pub struct SessionTimes {
    /// The median of a step, the wait for its batch included.
    pub milliseconds: f64,
    /// Positions of a batch on average.
    pub positions: f64,
    /// All steps, the warm-up's too.
    pub steps: u64,
    /// Where the time of all steps went.
    pub profile: Profile,
}

impl SessionStepBench<'_> {
    /// Takes the steps.
    ///
    /// # Errors
    /// When the configuration's device is not there.
    pub fn run(&self) -> Result<SessionTimes> {
        let config = self.config;
        let device = open_device(config)?;
        let history = config.tower.history;
        let sequences = self.sessions(100 * config.sampling.batch, history);
        let setting = Setting {
            items: self.items,
            history,
            tied: config.tower.tied,
            seed: config.seed,
            device,
        };
        let sessions = (0..sequences.len()).collect();
        let batches = SessionBatches::new(&sequences, sessions, &config.sampling, setting)?;
        let model = TwoTower::new(&config.tower, self.items, config.seed, device);
        let steps = WARM_UP + self.steps;
        let mut stepper = SessionStepper::new(config, &model, batches.counts(), steps);
        let mut positions = 0;
        let draw = |step| Box::new(batches.draw(step));
        let times: Vec<f64> = drawn_ahead(draw, 0..steps, |next| {
            let step = |step| {
                let start = Instant::now();
                let batch = next();
                let _ = stepper.step(&model, &batch, step);
                device::synchronize(device);
                positions += batch.positions();
                1e3 * start.elapsed().as_secs_f64()
            };
            (0..steps).map(step).collect()
        });
        Ok(SessionTimes {
            milliseconds: median(times[WARM_UP as usize..].to_vec()),
            positions: positions as f64 / steps as f64,
            steps,
            profile: stepper.profile().clone(),
        })
    }

    /// Sessions of at most `history + 1` items, of which the first of the catalogue are clicked
    /// most.
    fn sessions(&self, count: usize, history: usize) -> Sequences {
        let mut rng = stream(self.config.seed, Purpose::Generation, 0);
        let mut all = Sequences { items: vec![], offsets: vec![0] };
        for _ in 0..count {
            let more = (rng.random::<f64>().ln() / (1.0 - 1.0 / POSITIONS).ln()) as usize;
            for _ in 0..(2 + more).min(history + 1) {
                let place: f64 = rng.random();
                all.items.push((place * place * self.items as f64) as u32 + 1);
            }
            all.offsets.push(all.items.len());
        }
        all
    }
}
