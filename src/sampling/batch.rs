//! Batches of distinct users, each cut at a random position of its sequence.

use anyhow::Result;
use rand::RngExt;
use rand::seq::index;
use tch::Tensor;

use super::NegativeSampler;
use crate::config::SamplingConfig;
use crate::data::Sequences;
use crate::misuse;
use crate::optim::{Distinct, TouchedRows};
use crate::random::{Purpose, stream};

/// One training batch, int64 item ids.
pub struct Batch {
    /// `[batch, history]`: the latest items before the target, oldest first, padded with 0 at the
    /// end.
    pub histories: Tensor,
    /// `[batch]`
    pub targets: Tensor,
    /// `[negatives]`
    pub negatives: Tensor,
    /// All of them: histories, targets, negatives.
    pub rows: TouchedRows,
    /// Accidental hits, ascending: (row, negative) whose target and negative are one item. Found
    /// on the host only, for the step that is taken there.
    pub hits: Vec<(u32, u32)>,
}

impl Batch {
    /// A batch of tensors on the host.
    pub fn new(histories: &Tensor, targets: &Tensor, negatives: &Tensor) -> Self {
        let ids = Tensor::cat(&[&histories.view(-1), targets, negatives], 0);
        let parts = [histories, targets, negatives].map(|part| part.numel() as i64);
        let parts = ids.split_with_sizes(parts, 0);
        let rows = TouchedRows::new(ids);
        let first = histories.numel() as u32;
        let distinct = rows.distinct().expect("found on the host");
        let hits = hits(distinct, first, targets.numel() as u32);
        Self {
            histories: parts[0].view(histories.size().as_slice()),
            targets: parts[1].shallow_clone(),
            negatives: parts[2].shallow_clone(),
            rows,
            hits,
        }
    }
}

/// The accidental hits among ids of which the targets start at place `first`, followed by the
/// negatives.
fn hits(rows: &Distinct, first: u32, targets: u32) -> Vec<(u32, u32)> {
    let mut hits = vec![];
    for places in (0..rows.len()).map(|row| rows.places(row)) {
        let drawn = places.partition_point(|&place| place < first + targets);
        let own = places[..drawn].partition_point(|&place| place < first);
        for target in &places[own..drawn] {
            hits.extend(places[drawn..].iter().map(|p| (target - first, p - first - targets)));
        }
    }
    hits.sort_unstable();
    hits
}

/// Those of `users` that have a position that can be a target.
///
/// # Errors
/// A [`crate::error::Misuse`] when they are fewer than a batch needs.
pub fn eligible(
    sequences: &Sequences,
    users: Vec<usize>,
    config: &SamplingConfig,
) -> Result<Vec<usize>> {
    let first = config.first_position;
    let users: Vec<_> = users.into_iter().filter(|&u| sequences.get(u).len() > first).collect();
    if users.len() < config.batch {
        misuse!(
            "sampling.batch = {}: only {} training users have more than {first} interactions (sampling.first_position), and a batch takes distinct users",
            config.batch,
            users.len()
        );
    }
    Ok(users)
}

/// Draws the batches of a training run on the host.
pub struct Batches<'a> {
    sequences: &'a Sequences,
    /// Users with a position that can be a target.
    users: Vec<usize>,
    config: SamplingConfig,
    history: usize,
    negatives: Box<dyn NegativeSampler>,
    seed: u64,
}

impl<'a> Batches<'a> {
    /// Batches over those of `users` that have an item at `config.first_position` or later.
    /// Histories hold at most `history` items.
    ///
    /// # Errors
    /// A [`crate::error::Misuse`] when there are fewer such users than a batch needs.
    pub fn new(
        sequences: &'a Sequences,
        users: Vec<usize>,
        config: &SamplingConfig,
        history: usize,
        negatives: Box<dyn NegativeSampler>,
        seed: u64,
    ) -> Result<Self> {
        let users = eligible(sequences, users, config)?;
        Ok(Self { sequences, users, config: config.clone(), history, negatives, seed })
    }

    /// Batches in which every user could be drawn once.
    pub fn per_epoch(&self) -> u64 {
        self.users.len().div_ceil(self.config.batch) as u64
    }

    /// The batch of training step `step`: distinct users, uniform; for each a target position
    /// uniform in `first_position..len`.
    pub fn draw(&self, step: u64) -> Batch {
        let mut rng = stream(self.seed, Purpose::Batch, step);
        let mut histories = Vec::with_capacity(self.config.batch);
        let mut targets = Vec::with_capacity(self.config.batch);
        for at in index::sample(&mut rng, self.users.len(), self.config.batch) {
            let sequence = self.sequences.get(self.users[at]);
            let position = rng.random_range(self.config.first_position..sequence.len());
            histories.push(&sequence[position.saturating_sub(self.history)..position]);
            targets.push(i64::from(sequence[position]));
        }
        let negatives = Tensor::from_slice(&self.negatives.draw(step));
        Batch::new(&pad(&histories), &Tensor::from_slice(&targets), &negatives)
    }
}

/// Item ids `[histories, longest]` int64 on the host, padded with 0 at the end.
pub fn pad(histories: &[&[u32]]) -> Tensor {
    let longest = histories.iter().map(|h| h.len()).max().unwrap_or(0).max(1);
    let mut ids = vec![0i64; histories.len() * longest];
    for (row, history) in ids.chunks_mut(longest).zip(histories) {
        row.iter_mut().zip(*history).for_each(|(to, &id)| *to = i64::from(id));
    }
    Tensor::from_slice(&ids).view([histories.len() as i64, longest as i64])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NegativeSource, Origin, Per};
    use crate::sampling::{BatchSource, DeviceBatches, Uniform};
    use std::collections::{HashMap, HashSet};
    use tch::Device;

    /// Users 0 to 9: user `u` has the items 100u+1, 100u+2, ... of length u + 3.
    fn sequences() -> Sequences {
        let mut all = Sequences { items: vec![], offsets: vec![0] };
        for user in 0..10u32 {
            all.items.extend((1..=user + 3).map(|i| 100 * user + i));
            all.offsets.push(all.items.len());
        }
        all
    }

    fn batches(sequences: &Sequences, batch: usize) -> Result<Batches<'_>> {
        let config = SamplingConfig { batch, ..Default::default() };
        let negatives = Box::new(Uniform { items: 5, count: 10, seed: 1 });
        Batches::new(sequences, (0..10).collect(), &config, 3, negatives, 1)
    }

    #[test]
    fn targets_are_uniform_over_allowed_positions_and_follow_their_history() {
        let sequences = sequences();
        let batches = batches(&sequences, 4).unwrap();
        check_targets(|step| batches.draw(step));
    }

    #[test]
    fn batches_cut_by_tensor_ops_are_of_the_same_kind() {
        let sequences = sequences();
        let negatives = vec![NegativeSource { from: Origin::Uniform, count: 40, per: Per::Batch }];
        let config = SamplingConfig { batch: 4, negatives, ..Default::default() };
        let batches =
            DeviceBatches::new(&sequences, (0..10).collect(), &config, 3, 5, 1, Device::Cpu)
                .unwrap();
        check_targets(|step| batches.draw(step));
        let (a, b) = (batches.draw(9), batches.draw(10));
        assert_eq!(a.rows.ids(), batches.draw(9).rows.ids());
        assert_ne!(a.rows.ids(), b.rows.ids());
        let ids = Vec::<i64>::try_from(&a.negatives).unwrap();
        assert!(ids.len() == 40 && ids.iter().all(|id| (1..=5).contains(id)));
        // Histories shorter than the encoder's are padded at the end.
        let long =
            DeviceBatches::new(&sequences, (0..10).collect(), &config, 30, 5, 1, Device::Cpu)
                .unwrap()
                .draw(1);
        for (row, target) in Vec::<i64>::try_from(&long.targets).unwrap().iter().enumerate() {
            let history = Vec::<i64>::try_from(long.histories.get(row as i64)).unwrap();
            let mut expected: Vec<i64> = (target / 100 * 100 + 1..*target).collect();
            expected.resize(30, 0);
            assert_eq!(history, expected);
        }
    }

    fn check_targets(draw: impl Fn(u64) -> Batch) {
        let mut seen: HashMap<i64, u32> = HashMap::new();
        for step in 0..2000 {
            let batch = draw(step);
            let targets = Vec::<i64>::try_from(&batch.targets).unwrap();
            let users: HashSet<_> = targets.iter().map(|t| t / 100).collect();
            assert_eq!(users.len(), 4, "users of a batch are distinct");
            for (row, target) in targets.iter().enumerate() {
                *seen.entry(*target).or_default() += 1;
                let history = Vec::<i64>::try_from(batch.histories.get(row as i64)).unwrap();
                assert_eq!(history, [target - 3, target - 2, target - 1]);
            }
        }
        // Users 2 to 9 have 1 to 8 target positions, from the fifth item on, 1000 draws a user.
        assert_eq!(seen.len(), (1..=8).sum::<usize>());
        for user in 2..10i64 {
            let draws: u32 = (5..=user + 3).map(|i| seen[&(100 * user + i)]).sum();
            assert!((850..1150).contains(&draws), "user {user}: {draws}");
        }
        let last: Vec<u32> = (5..=12).map(|i| seen[&(900 + i)]).collect();
        assert!(last.iter().all(|n| (80..170).contains(n)), "{last:?}");
    }

    #[test]
    fn a_batch_is_a_function_of_its_step() {
        let sequences = sequences();
        let (a, b) = (batches(&sequences, 4).unwrap(), batches(&sequences, 4).unwrap());
        b.draw(1);
        assert_eq!(a.draw(9).targets, b.draw(9).targets);
        assert_ne!(a.draw(9).targets, a.draw(10).targets);
    }

    #[test]
    fn batches_drawn_ahead_are_those_of_their_steps() {
        let sequences = sequences();
        let ahead = BatchSource::Host(batches(&sequences, 4).unwrap());
        let batches = batches(&sequences, 4).unwrap();
        let targets = ahead.run(3..40, |next| {
            // Not all that are drawn are taken.
            (3..20).map(|_| next().targets).collect::<Vec<_>>()
        });
        for (step, targets) in (3..20).zip(targets) {
            assert_eq!(targets, batches.draw(step).targets);
        }
    }

    #[test]
    fn a_batch_larger_than_the_users_is_refused() {
        let sequences = sequences();
        let error = batches(&sequences, 9).err().unwrap().to_string();
        assert!(error.contains("sampling.batch = 9") && error.contains("only 8"), "{error}");
    }

    #[test]
    fn short_histories_are_padded_at_the_end() {
        let padded = pad(&[&[7, 8], &[], &[9]]);
        assert_eq!(padded, Tensor::from_slice2(&[[7i64, 8], [0, 0], [9, 0]]));
    }
}
