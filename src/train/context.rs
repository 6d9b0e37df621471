//! What a run is worked with: its configuration, dataset and plan.

use std::borrow::Cow;

use anyhow::Result;

use super::event::Event;
use crate::batch::Drawer;
use crate::config::{Config, DEFAULT_STEPS, Length, Protocol};
use crate::data::{Dataset, Sequences, Split};
use crate::eval::{Evaluation, Metrics, PositionEvaluation};
use crate::misuse;
use crate::model::Model;
use crate::signals::Signals;
use crate::step::Plan;

/// A configuration and a dataset that fit together, and the plan by which they are worked with.
pub struct RunContext<'a> {
    pub config: &'a Config,
    pub dataset: &'a Dataset,
    pub plan: Plan,
    /// Those that end an evaluation.
    pub(super) signals: Signals,
}

impl<'a> RunContext<'a> {
    /// Opens the device and sets the threads.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the device is not there.
    pub fn new(config: &'a Config, dataset: &'a Dataset) -> Result<Self> {
        Ok(Self { config, dataset, plan: Plan::open(config)?, signals: Signals::default() })
    }

    /// A model with initial weights.
    pub fn model(&self) -> Model {
        let Config { tower, seed, .. } = self.config;
        Model::new(tower, self.dataset.item_count(), *seed, self.plan.device)
    }

    /// The batches of training, checked against the dataset, from its [`Dataset::training`].
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the dataset is too small for the configuration.
    pub fn drawer<'d>(&self, training: &'d Sequences) -> Result<Drawer<'d>> {
        let Self { config, dataset, plan, .. } = self;
        if dataset.is_measured() {
            self.refuse_empty(Split::Validation)?;
            self.refuse_empty(Split::Test)?;
        } else if config.train.length == Length::Steps(DEFAULT_STEPS) {
            misuse!(
                "the dataset is all training (split.by = \"none\"), so that no validation would \
                 end the training before train.steps = {DEFAULT_STEPS}, the default: set \
                 train.epochs, or train.steps to the steps that are to be trained"
            );
        }
        let (train, items) = (dataset.users_of(Split::Train), dataset.item_count());
        Drawer::new(config, plan.batches, plan.assembly(config), training, train, items)
    }

    fn refuse_empty(&self, part: Split) -> Result<()> {
        if self.dataset.users_of(part).is_empty() {
            misuse!(
                "the dataset has no {} users (split.by = \"{}\"), so nothing can be measured: \
                 prepare it with another split",
                part.name(),
                self.dataset.manifest.split.by.name()
            );
        }
        Ok(())
    }

    /// Ranks the catalogue for the users of `part`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the part has no users; a score that is not a number.
    pub fn evaluate(
        &self,
        model: &Model,
        part: Split,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Metrics> {
        self.refuse_empty(part)?;
        self.evaluate_for(model, part, self.dataset.users_of(part), observe)
    }

    /// Ranks the catalogue for `users`, some of `part`.
    pub(super) fn evaluate_for(
        &self,
        model: &Model,
        part: Split,
        users: Vec<usize>,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Metrics> {
        // Nobody who is asked of what trains needs to know the rest.
        let sequences = &*match part {
            Split::Train => self.dataset.training(),
            Split::Validation | Split::Test => Cow::Borrowed(&self.dataset.sequences),
        };
        let windows = self.dataset.windows(part, &users);
        let (config, history) = (&self.config.evaluation, self.config.tower.history);
        let (mut done, count) = (0, users.len() as u64);
        let mut progress = |more| {
            done += more;
            observe(Event::Ranking { part, done, users: count });
            self.signals.check()
        };
        let Plan { device, ranking: path, .. } = self.plan;
        match config.protocol {
            Protocol::Holdout | Protocol::LeaveOneOut => {
                let known = self.dataset.rankable(config.protocol, part, &users);
                Evaluation { sequences, users, windows, known, config, history, device, path }
                    .run(model, &mut progress)
            }
            Protocol::Positions => {
                PositionEvaluation { sequences, users, windows, config, history, path }
                    .run(model, &mut progress)
            }
        }
    }
}
