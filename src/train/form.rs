//! The two forms of training, a sample a user and a sample a position, behind one loop.

use std::ops::Range;

use anyhow::Result;
use tch::{Device, Tensor};

use super::{Profile, SessionStepper, Stepper, by_loops};
use crate::config::{Config, Samples};
use crate::data::{Dataset, Split};
use crate::misuse;
use crate::sampling::{Batch, BatchSource, SessionBatch, SessionBatches, Setting, drawn_ahead};
use crate::tower::{Dropout, TwoTower};

/// Where batches come from.
pub enum Source<'a> {
    Users(BatchSource<'a>),
    Positions(SessionBatches<'a>),
}

/// A batch of either form.
pub enum Drawn {
    Users(Batch),
    Positions(Box<SessionBatch>),
}

impl<'a> Source<'a> {
    /// The batches of training, checked against the dataset.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the dataset is too small for the configuration.
    pub fn new(config: &Config, dataset: &'a Dataset, device: Device) -> Result<Self> {
        let Config { sampling, tower, seed, .. } = config;
        for part in [Split::Validation, Split::Test] {
            if dataset.users_of(part).is_empty() {
                misuse!("the dataset has no {} users: prepare it with another split", part.name());
            }
        }
        let (sequences, train) = (&dataset.sequences, dataset.users_of(Split::Train));
        let items = dataset.item_count();
        if sampling.samples == Samples::Users {
            let loops = by_loops(config, device);
            let batches = BatchSource::new(config, sequences, train, items, loops, device)?;
            return Ok(Self::Users(batches));
        }
        let (tied, history, seed) = (tower.tied, tower.history, *seed);
        let setting = Setting { items, history, tied, seed, device };
        Ok(Self::Positions(SessionBatches::new(sequences, train, sampling, setting)?))
    }

    /// Batches an epoch.
    pub fn per_epoch(&self) -> u64 {
        match self {
            Self::Users(batches) => batches.per_epoch(),
            Self::Positions(batches) => batches.per_epoch(),
        }
    }

    /// Runs `body` with a source of the batches of `steps`, in order.
    pub fn run<R>(
        &self,
        steps: Range<u64>,
        body: impl FnOnce(&mut dyn FnMut() -> Drawn) -> R,
    ) -> R {
        match self {
            Self::Users(batches) => batches.run(steps, |next| body(&mut || Drawn::Users(next()))),
            Self::Positions(batches) => {
                let draw = |step| Drawn::Positions(Box::new(batches.draw(step)));
                drawn_ahead(draw, steps, body)
            }
        }
    }
}

/// Moves a model by batches of either form.
pub enum Mover {
    Users { stepper: Box<Stepper>, dropout: Option<(u64, Device)> },
    Positions(Box<SessionStepper>),
}

impl Mover {
    /// Optimisers at their start for `model`, for `steps` batches of `source`.
    pub fn new(config: &Config, model: &TwoTower, source: &Source, steps: u64) -> Self {
        match source {
            Source::Users(_) => {
                let drops = config.tower.dropout() > 0.0;
                let dropout = drops.then(|| (config.seed, model.items.weights().device()));
                Self::Users { stepper: Box::new(Stepper::new(config, model, steps)), dropout }
            }
            Source::Positions(batches) => Self::Positions(Box::new(SessionStepper::new(
                config,
                model,
                batches.counts(),
                steps,
            ))),
        }
    }

    /// Moves the model by step `step`; see [`Stepper::step`] and [`SessionStepper::step`].
    pub fn step(&mut self, model: &TwoTower, drawn: &Drawn, step: u64) -> Tensor {
        match (self, drawn) {
            (Self::Users { stepper, dropout }, Drawn::Users(batch)) => {
                if let Some((seed, device)) = *dropout {
                    stepper.drop_by(Dropout::new(seed, step, 0, device));
                }
                stepper.step(model, batch)
            }
            (Self::Positions(stepper), Drawn::Positions(batch)) => stepper.step(model, batch, step),
            _ => unreachable!("a mover gets the batches that it was made for"),
        }
    }

    /// Brings the whole model to the present. Must come before it is evaluated or saved.
    pub fn catch_up(&mut self, model: &TwoTower) {
        match self {
            Self::Users { stepper, .. } => stepper.catch_up(model),
            Self::Positions(stepper) => stepper.catch_up(model),
        }
    }

    /// Where the time of the steps went.
    pub fn profile(&self) -> &Profile {
        match self {
            Self::Users { stepper, .. } => stepper.profile(),
            Self::Positions(stepper) => stepper.profile(),
        }
    }
}
