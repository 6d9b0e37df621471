//! What a run is worked with: its configuration, dataset and plan.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::event::Event;
use super::sharing::{agreed, refuse_what_ranks_lack};
use crate::batch::Drawer;
use crate::config::{Config, DEFAULT_STEPS, Length, LossConfig, Protocol};
use crate::data::{Dataset, Features, Sequences, Split};
use crate::error::Interrupted;
use crate::eval::{
    ColdEvaluation, ColdRecall, Evaluation, LISTED, Listing, Lists, Metrics, PositionEvaluation,
    Query, spread,
};
use crate::misuse;
use crate::model::{Known, KnownItems, Model, ValueLists};
use crate::ranks::Team;
use crate::signals::Signals;
use crate::step::Plan;

/// A configuration and a dataset that fit together, and the plan by which they are worked with.
pub struct RunContext<'a> {
    pub config: &'a Config,
    pub dataset: &'a Dataset,
    pub plan: Plan,
    /// What towers read of items and users besides their ids.
    pub known: Known,
    /// Who trains together.
    pub(super) team: Team,
    /// Those that end an evaluation.
    pub(super) signals: Signals,
    /// The share of the steps behind which a training pauses.
    pub(super) until: Option<f64>,
}

impl<'a> RunContext<'a> {
    /// Opens the device and sets the threads.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the device is not there.
    pub fn new(config: &'a Config, dataset: &'a Dataset) -> Result<Self> {
        let known = known(config, dataset)?;
        let plan = Plan::open(config)?;
        let (team, signals) = (Team::default(), Signals::default());
        Ok(Self { config, dataset, plan, known, team, signals, until: None })
    }

    /// The same for ranks that train together: on their hosts.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names what they cannot do.
    pub(super) fn of_ranks(config: &'a Config, dataset: &'a Dataset, team: &Team) -> Result<Self> {
        refuse_what_ranks_lack(config, dataset)?;
        let (plan, signals) = (Plan::open_host(config), Signals::default());
        let (known, team) = (Known::default(), team.clone());
        Ok(Self { config, dataset, plan, known, team, signals, until: None })
    }

    /// [`agreed`], with the signal that this rank has heard.
    pub(super) fn agreed(&self, due: bool) -> Result<bool, Interrupted> {
        agreed(&self.team, self.signals.interruption(), due)
    }

    /// An error once a signal has come to any rank.
    fn check_signals(&self) -> Result<()> {
        self.agreed(false)?;
        Ok(())
    }

    /// A model with initial weights.
    pub fn model(&self) -> Model {
        let Config { tower, seed, .. } = self.config;
        if !self.team.is_alone() {
            return Model::sharded(tower, self.dataset.item_count(), *seed, &self.team);
        }
        Model::new(tower, self.dataset.item_count(), *seed, self.plan.device)
            .knowing(&self.known, *seed)
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
        self.refuse_cut_above_rank()?;
        let (train, items) = (dataset.users_of(Split::Train), dataset.item_count());
        let assembly = plan.assembly(config);
        let drawer = Drawer::new(config, plan.batches, assembly, training, train, items)?;
        Ok(match self.team.is_alone() {
            true => drawer.knowing(&self.known, config.tower.id_dropout),
            false => drawer.shared(self.team.shard()),
        })
    }

    /// Refuses to keep so few candidates that the one that stands for rank K is not among them.
    fn refuse_cut_above_rank(&self) -> Result<()> {
        let Config { loss, sampling, .. } = self.config;
        let (LossConfig::SlAtK { at, .. }, top_k @ 1..) = (loss, sampling.top_k) else {
            return Ok(());
        };
        let (drawn, items) = (sampling.candidates(), self.dataset.item_count());
        let place = (*at as usize * drawn).div_ceil(items);
        if top_k < place {
            misuse!(
                "loss.at = {at}: among {drawn} candidates (sampling.negatives) out of a catalogue \
                 of {items} items the score at rank {at} has place {place}, which sampling.top_k = \
                 {top_k} cuts off: set sampling.top_k to {place} or more, or to 0 to keep all"
            );
        }
        Ok(())
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
        let sequences = &*self.sequences(part);
        let windows = self.dataset.windows(part, &users);
        let (config, history) = (&self.config.evaluation, self.config.tower.history);
        let (mut done, count) = (0, users.len() as u64);
        let mut progress = |more| {
            done += more;
            observe(Event::Ranking { part, done, users: count });
            self.check_signals()
        };
        let path = self.plan.ranking;
        match config.protocol {
            Protocol::Holdout | Protocol::LeaveOneOut => {
                let known = self.dataset.rankable(config.protocol, part, &users);
                Evaluation { sequences, users, windows, known, config, history, path }
                    .run(model, &mut progress)
            }
            Protocol::Positions => {
                PositionEvaluation { sequences, users, windows, config, history, path }
                    .run(model, &mut progress)
            }
        }
    }

    /// Of each N what the lists of N items hold that the model gives to users of `part`; `counts`
    /// [`Dataset::training_counts`].
    ///
    /// # Errors
    /// An item vector that is not a number.
    pub fn lists(
        &self,
        model: &Model,
        part: Split,
        counts: &[u64],
        observe: &mut dyn FnMut(Event),
    ) -> Result<BTreeMap<usize, Lists>> {
        let users = spread(self.dataset.users_of(part), LISTED);
        let sequences = self.sequences(part);
        let windows = self.dataset.windows(part, &users);
        let config = &self.config.evaluation;
        let query = |(at, &user): (usize, &usize)| {
            let window = windows.as_ref().map(|windows| windows[at].clone());
            Query::for_list(sequences.get(user), window, config).by(user)
        };
        let queries = users.iter().enumerate().map(query);
        let queries: Vec<Query> = queries.filter(|query| !query.history.is_empty()).collect();
        let (mut done, users) = (0, queries.len() as u64);
        let (history, path) = (self.config.tower.history, self.plan.ranking);
        Listing { queries, config, history, counts, path }.run(model, &mut |more| {
            done += more;
            observe(Event::Ranking { part, done, users });
            self.check_signals()
        })
    }

    /// How many of the items that the split has taken out of training are found, if it has.
    ///
    /// # Errors
    /// A score that is not a number.
    pub fn cold(
        &self,
        model: &Model,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Option<ColdRecall>> {
        let Some(cold) = &self.dataset.cold else { return Ok(None) };
        let (sequences, config) = (&self.dataset.sequences, &self.config.evaluation);
        let (history, path) = (self.config.tower.history, self.plan.ranking);
        let (mut done, users) = (0, cold.targets.len() as u64);
        let found = ColdEvaluation { sequences, cold, config, history, path };
        let found = found.run(model, &mut |more| {
            done += more;
            observe(Event::Ranking { part: Split::Test, done, users });
            self.check_signals()
        });
        found.map(Some)
    }

    /// Nobody who is asked of what trains needs to know the rest.
    fn sequences(&self, part: Split) -> Cow<'_, Sequences> {
        match part {
            Split::Train => self.dataset.training(),
            Split::Validation | Split::Test => Cow::Borrowed(&self.dataset.sequences),
        }
    }
}

/// What the towers of `config` read of a dataset.
///
/// # Errors
/// [`crate::error::Misuse`] for fields that it has not.
fn known(config: &Config, dataset: &Dataset) -> Result<Known> {
    let lists = |key: &str, fields: &[String], there: &Option<Features>, option| -> Result<_> {
        if fields.is_empty() {
            return Ok(None);
        }
        let Some(features) = there else {
            misuse!(
                "tower.{key}: {} has no such fields: prepare it with --{option} FILE",
                config.data.path.display()
            );
        };
        let own = features.select(fields, &format!("tower.{key}"))?;
        Ok(Some(Arc::new(ValueLists::new(&own))))
    };
    let tower = &config.tower;
    let items = lists("item_features", &tower.item_features, &dataset.item_features, "items")?;
    let users = lists("user_features", &tower.user_features, &dataset.user_features, "users")?;
    let met = || dataset.training_counts().iter().map(|&count| count > 0).collect();
    Ok(Known { items: items.map(|lists| KnownItems { lists, met: met() }), users })
}
