//! Draws batches on the host.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use rand::RngExt;

use super::batch::{Assembly, Batch, Samples};
use super::candidates::{Candidates, Expected, Pool, Source, powers};
use super::epochs::Epochs;
use super::features::Composer;
use super::part::Part;
use crate::config::{Config, NegativeSource, Order, Origin, Per, Samples as Kind, SamplingConfig};
use crate::data::Sequences;
use crate::misuse;
use crate::model::{Known, Pairs, Queries, ValueLists};
use crate::random::{Purpose, stream};
use crate::ranks::Shard;

/// Draws the batches of a training run, each a function of its step.
pub struct HostDrawer<'a> {
    sequences: &'a Sequences,
    /// Users or sessions of the training part.
    members: Vec<usize>,
    epochs: Epochs,
    sampling: SamplingConfig,
    sources: Vec<Source>,
    /// Items in the catalogue.
    items: usize,
    history: usize,
    seed: u64,
    assembly: Assembly,
    /// Where a batch's items go by their places.
    composer: Option<Composer>,
    /// `[items]`, where they have features: which of them training meets.
    met: Option<Vec<bool>>,
    /// Where ranks share each batch: which part is drawn.
    shard: Option<Shard>,
    /// Where users have features.
    of_users: Option<Arc<ValueLists>>,
}

/// What of a member a batch reads: `read` of its `whole` sequence, behind which there is an item.
pub(super) struct Chosen<'a> {
    member: usize,
    whole: &'a [u32],
    pub read: Range<usize>,
    /// The first place of `whole` among all sequences.
    pub first: usize,
}

/// Those of `members` that have something to learn from: an item at `first_position` or later of a
/// user, two items of a session.
///
/// # Errors
/// A [`crate::error::Misuse`] when they are fewer than a batch needs.
fn eligible(
    sequences: &Sequences,
    members: &[usize],
    sampling: &SamplingConfig,
) -> Result<Vec<usize>> {
    let first = first_target(sampling);
    let long = members.iter().copied().filter(|&member| sequences.get(member).len() > first);
    let long: Vec<usize> = long.collect();
    let random = sampling.order == Order::Random;
    let wanted = if random { sampling.batch } else { 1 };
    if long.len() >= wanted {
        return Ok(long);
    }
    let (who, need) = match sampling.samples {
        Kind::Users => {
            ("users", format!("more than {first} interactions (sampling.first_position)"))
        }
        Kind::Positions => ("sessions", "two items or more".into()),
    };
    if long.is_empty() {
        misuse!("the dataset has no training {who} with {need}");
    }
    misuse!(
        "sampling.batch = {}: only {} training {who} have {need}, and a random batch takes distinct {who}; a smaller one, or sampling.order = \"shuffled\", will do",
        sampling.batch,
        long.len()
    )
}

/// The first position of a sequence, from 0, that can be asked for.
fn first_target(sampling: &SamplingConfig) -> usize {
    match sampling.samples {
        Kind::Users => sampling.first_position,
        Kind::Positions => 1,
    }
}

/// The items that can be the target where place `next` of a sequence is the next one: so many as
/// `share` of those before it, the next at least.
fn ahead(whole: &[u32], next: usize, share: f64) -> &[u32] {
    let reach = ((share * next as f64) as usize).max(1);
    &whole[next..whole.len().min(next + reach)]
}

/// `[items]`: what draws from `from` are in proportion to.
fn weights(
    from: Origin,
    sampling: &SamplingConfig,
    sequences: &Sequences,
    members: &[usize],
    items: usize,
) -> Vec<f64> {
    match (from, sampling.samples) {
        (Origin::Uniform, _) => vec![1.0; items],
        (Origin::Popularity { power }, _) => powers(&sequences.occurrences(members, items), power),
        // Each click of a session is read in each epoch.
        (Origin::InBatch, Kind::Positions) => powers(&sequences.occurrences(members, items), 1.0),
        // Each of a user's positions is asked behind alike, and each user as often.
        (Origin::InBatch, Kind::Users) => {
            let mut weights = vec![0.0; items];
            for whole in members.iter().map(|&user| sequences.get(user)) {
                let positions = sampling.first_position..whole.len();
                let share = 1.0 / positions.len().max(1) as f64;
                for next in positions {
                    let ahead = ahead(whole, next, sampling.ahead);
                    let share = share / ahead.len() as f64;
                    ahead.iter().for_each(|&item| weights[item as usize - 1] += share);
                }
            }
            weights
        }
    }
}

impl<'a> HostDrawer<'a> {
    /// Batches of `members`, for a catalogue of `items`.
    ///
    /// # Errors
    /// A [`crate::error::Misuse`] when there are fewer than a batch needs that have something to
    /// learn from.
    pub fn new(
        config: &Config,
        sequences: &'a Sequences,
        members: Vec<usize>,
        items: usize,
        assembly: Assembly,
    ) -> Result<Self> {
        let Config { sampling, tower, seed, .. } = config;
        let eligible = eligible(sequences, &members, sampling)?;
        let weights = |from| weights(from, sampling, sequences, &members, items);
        let source = |source: &NegativeSource| Source::new(source, items, || weights(source.from));
        let sources = sampling.negatives.iter().map(source).collect();
        Ok(Self {
            sequences,
            members,
            epochs: Epochs::new(eligible, sampling.batch, sampling.order, *seed),
            sources,
            sampling: sampling.clone(),
            items,
            history: tower.history,
            seed: *seed,
            assembly,
            composer: None,
            met: None,
            shard: None,
            of_users: None,
        })
    }

    /// The same where items or users have features. What training never meets is no candidate: its own
    /// vector stays 0.
    pub fn knowing(mut self, known: &Known, id_dropout: f64) -> Self {
        self.of_users = known.users.clone();
        let Some(known) = &known.items else { return self };
        let Self { seed, assembly, .. } = self;
        let met = known.met.clone();
        if met.contains(&false) {
            self.sources = self.sources.into_iter().map(|source| source.among(&met)).collect();
        }
        let lists = Some(known.lists.clone());
        let composer = Some(Composer { lists, id_dropout, seed, assembly });
        Self { composer, met: Some(met), ..self }
    }

    /// The same, of each batch the part of a rank, whose items go by their places.
    pub fn shared(self, shard: Shard) -> Self {
        let Self { seed, assembly, .. } = self;
        let composer = Composer { lists: None, id_dropout: 0.0, seed, assembly };
        Self { composer: Some(composer), shard: Some(shard), ..self }
    }

    /// Batches an epoch.
    pub fn per_epoch(&self) -> u64 {
        self.epochs.length()
    }

    /// As [`Expected::log_counts`].
    pub fn log_counts(&self) -> Vec<f32> {
        let Self { sampling, sequences, members, items, .. } = self;
        let weights = |from| {
            let mut weights = weights(from, sampling, sequences, members, *items);
            if let Some(met) = &self.met {
                weights.iter_mut().zip(met).for_each(|(weight, met)| *weight *= f64::from(*met));
            }
            weights
        };
        Expected::log_counts(&sampling.negatives, *items, weights)
    }

    /// The batch of training step `step`, a function of it alone.
    pub fn draw(&self, step: u64) -> Batch {
        let chosen = self.chosen(step);
        let samples = self.samples(step, &chosen);
        let candidates = self.candidates(step, &samples);
        let part = Part::of(samples, candidates, self.assembly.chunks, self.shard);
        let Part { mut samples, mut candidates, chunks, share } = part;
        let composer = self.composer.as_ref();
        let composition =
            composer.map(|composer| composer.compose(step, &mut samples, &mut candidates));
        let users = self.of_users.as_ref().map(|lists| {
            let Assembly { device, host, .. } = self.assembly;
            Pairs::sent(&lists.of(chosen.iter().map(|own| Some(own.member))), device, host)
        });
        let batch = Batch::in_chunks(samples, candidates, self.assembly, &chunks);
        Batch { composition, users, share, ..batch }
    }

    /// What the batch of `step` reads, by rising length.
    pub(super) fn chosen(&self, step: u64) -> Vec<Chosen<'_>> {
        let mut rng = stream(self.seed, Purpose::Batch, step);
        let members = self.epochs.members(step, &mut rng);
        let mut chosen: Vec<Chosen> = members
            .into_iter()
            .map(|member| {
                let whole = self.sequences.get(member);
                // Of a user the items before a random target, of a session all but the last; the
                // latest of them.
                let end = match self.sampling.samples {
                    Kind::Users => rng.random_range(self.sampling.first_position..whole.len()),
                    Kind::Positions => whole.len() - 1,
                };
                let first = self.sequences.offsets[member];
                Chosen { member, whole, read: end.saturating_sub(self.history)..end, first }
            })
            .collect();
        // Histories of about one length share a chunk, so that little padding is worked through.
        chosen.sort_by_key(|own| own.read.len());
        chosen
    }

    /// Histories and targets of what was chosen.
    pub(super) fn samples(&self, step: u64, chosen: &[Chosen]) -> Samples {
        let queries = match self.sampling.samples {
            Kind::Users => Queries::Last,
            Kind::Positions => Queries::Every,
        };
        let positions = chosen.iter().map(|own| own.read.len()).sum();
        let mut samples = Samples {
            items: Vec::with_capacity(positions),
            starts: Vec::with_capacity(chosen.len() + 1),
            queries,
            targets: Vec::with_capacity(positions),
        };
        let id = |&item: &u32| i64::from(item);
        samples.starts.push(0);
        let mut rng = stream(self.seed, Purpose::Ahead, step);
        for Chosen { whole, read, .. } in chosen {
            samples.items.extend(whole[read.clone()].iter().map(id));
            samples.starts.push(samples.items.len() as u32);
            let first = match queries {
                Queries::Every => read.start + 1,
                Queries::Last => read.end,
            };
            samples.targets.extend((first..=read.end).map(|next| {
                match ahead(whole, next, self.sampling.ahead) {
                    [one] => id(one),
                    several => id(&several[rng.random_range(0..several.len())]),
                }
            }));
        }
        samples
    }

    pub(super) fn candidates(&self, step: u64, samples: &Samples) -> Candidates {
        let mut rng = stream(self.seed, Purpose::Negatives, step);
        let starts: Vec<usize> = samples.starts.iter().map(|&start| start as usize).collect();
        let ones: Vec<usize> = (0..=samples.histories()).collect();
        // In-batch candidates are the clicks that are read of others, of users their targets.
        let pool = match samples.queries {
            Queries::Every => Pool { items: &samples.items, starts: &starts },
            Queries::Last => Pool { items: &samples.targets, starts: &ones },
        };
        let mut drawn = Candidates::default();
        let of = |per| self.sources.iter().filter(move |source| source.per == per);
        for source in of(Per::Batch) {
            source.draw(&mut rng, &pool, 0, &mut drawn.shared);
        }
        for history in 0..samples.histories() {
            for source in of(Per::Session) {
                source.draw(&mut rng, &pool, history, &mut drawn.of_history);
            }
            for _ in pool.starts[history]..pool.starts[history + 1] {
                for source in of(Per::Event) {
                    source.draw(&mut rng, &pool, history, &mut drawn.of_query);
                }
            }
        }
        drawn
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
