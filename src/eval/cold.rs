//! Items that training has never met, asked for after the histories behind which they came.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::catalogue::Catalogue;
use super::query::Query;
use super::rank::ranks;
use crate::config::EvaluationConfig;
use crate::data::{Cold, Sequences};
use crate::device::ComputePath;
use crate::model::Model;

/// How many of the cold items that were asked for were found, by N.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColdRecall {
    /// Items that training has never met.
    pub items: u64,
    /// How many were asked for, one a user.
    pub targets: u64,
    /// The share of them among the N best of the cold items, and of all items.
    pub among_cold: BTreeMap<usize, f64>,
    pub among_all: BTreeMap<usize, f64>,
}

/// Shares of cold items that were found, by N.
pub type ColdShares = fn(&ColdRecall) -> &BTreeMap<usize, f64>;

impl ColdRecall {
    /// All of them, under the names of their fields.
    pub const SHARES: [(&str, ColdShares); 2] =
        [("among_cold", |cold| &cold.among_cold), ("among_all", |cold| &cold.among_all)];
}

/// What is asked for: each user's cold item, from the whole sequence.
pub struct ColdEvaluation<'a> {
    pub sequences: &'a Sequences,
    pub cold: &'a Cold,
    pub config: &'a EvaluationConfig,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    /// How the catalogue is ranked.
    pub path: ComputePath,
}

impl ColdEvaluation<'_> {
    /// Ranks all items and the cold ones alone. `progress` hears how many users more are done.
    ///
    /// # Errors
    /// When a score is not a number; those of `progress`.
    pub fn run(
        &self,
        model: &Model,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<ColdRecall> {
        let _guard = tch::no_grad_guard();
        let Self { sequences, cold, config, history, path } = *self;
        let all = Catalogue::of(model, path).checked()?;
        let rows: Vec<i64> = cold.items.iter().map(|&id| i64::from(id) - 1).collect();
        let alone = all.some(&Tensor::from_slice(&rows).to_device(model.device()));
        let place = |id: u32| cold.items.partition_point(|&own| own < id) as u32 + 1;

        let mut targets = cold.targets.clone();
        targets.sort_by_key(|(user, _)| sequences.get(*user as usize).len().min(history));
        let (mut found, mut found_alone) = (vec![], vec![]);
        for targets in targets.chunks(all.users_a_block()) {
            let queries = |id: &dyn Fn(u32) -> u32| -> Vec<Query> {
                let one = |&(user, item): &(u32, u32)| {
                    Query::new(sequences.get(user as usize), vec![id(item)]).by(user as usize)
                };
                targets.iter().map(one).collect()
            };
            let of_all = queries(&|id| id);
            let vectors = Query::vectors(model, &of_all, history);
            found.extend(ranks(&vectors, &all, &of_all, config.seen)?.concat());
            // No cold item is in a history: there is nothing to leave out, nor to gain.
            let own: Vec<Query> =
                queries(&place).into_iter().map(|query| Query::new(&[], query.targets)).collect();
            found_alone.extend(ranks(&vectors, &alone, &own, config.seen)?.concat());
            progress(targets.len() as u64)?;
        }
        let recall = |ranks: &[u64]| {
            let share = |&at: &usize| {
                let hits = ranks.iter().filter(|rank| **rank <= at as u64).count();
                (at, hits as f64 / ranks.len().max(1) as f64)
            };
            config.at.iter().map(share).collect()
        };
        Ok(ColdRecall {
            items: cold.items.len() as u64,
            targets: found.len() as u64,
            among_cold: recall(&found_alone),
            among_all: recall(&found),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::RngExt;
    use tch::{Device, Kind};

    use super::*;
    use crate::config::{Protocol, Seen, TowerConfig};
    use crate::data::{Features, FieldKind, Schema, test_field};
    use crate::model::{Known, ValueLists};
    use crate::random::{Purpose, stream};

    const ITEMS: u32 = 90;
    const USERS: u32 = 40;

    /// A field of users, of which each has a value: the row of its vector.
    fn code(user: u32) -> u32 {
        2 + user % 4
    }

    fn of_users() -> Known {
        let fields = vec![test_field("country", FieldKind::Category, &["a", "b", "c"], &[])];
        let codes = (0..USERS).map(code).collect();
        let features = Features { schema: Schema { fields }, starts: (0..=USERS).collect(), codes };
        Known { items: None, users: Some(Arc::new(ValueLists::new(&features))) }
    }

    #[test]
    fn cold_items_are_ranked_as_all_scores_say() {
        let mut rng = stream(3, Purpose::Generation, 0);
        let cold: Vec<u32> = (1..=ITEMS).filter(|id| id % 7 == 3).collect();
        let warm: Vec<u32> = (1..=ITEMS).filter(|id| id % 7 != 3).collect();
        let mut sequences = Sequences { items: vec![], offsets: vec![0] };
        let mut targets = vec![];
        for user in 0..USERS {
            for _ in 0..rng.random_range(1..12) {
                sequences.items.push(warm[rng.random_range(0..warm.len())]);
            }
            sequences.offsets.push(sequences.items.len());
            if user % 3 > 0 {
                targets.push((user, cold[rng.random_range(0..cold.len())]));
            }
        }
        let cold = Cold { items: cold, targets };
        for (normalize, seen, known) in [
            (true, Seen::Exclude, Known::default()),
            (false, Seen::Keep, Known::default()),
            (true, Seen::Keep, of_users()),
        ] {
            let tower = TowerConfig { dim: 6, history: 5, normalize, ..Default::default() };
            let model = Model::new(&tower, ITEMS as usize, 2, Device::Cpu).knowing(&known, 2);
            let at = vec![1, 5, 20];
            let config = EvaluationConfig { at, seen, ..EvaluationConfig::of(Protocol::Holdout) };
            let (mut all, mut alone) = (vec![], vec![]);
            for &(user, target) in &cold.targets {
                let features = model.user_features.as_ref();
                let added = features.map(|own| own.table().1.narrow(0, i64::from(code(user)), 1));
                let history = sequences.get(user as usize);
                let read: Vec<i64> = history[history.len().saturating_sub(5)..]
                    .iter()
                    .map(|id| i64::from(*id))
                    .collect();
                let user = model.users(&Tensor::from_slice(&read).unsqueeze(0), added.as_ref());
                let scores = model.item_vectors().matmul(&user.squeeze_dim(0));
                let scores = Vec::<f32>::try_from(scores.to_kind(Kind::Float)).unwrap();
                let own = scores[target as usize - 1];
                let beats = |id: &u32| scores[*id as usize - 1] >= own;
                let left_out = |id: &u32| seen == Seen::Exclude && history.contains(id);
                all.push((1..=ITEMS).filter(|id| beats(id) && !left_out(id)).count());
                alone.push(cold.items.iter().filter(|id| beats(id)).count());
            }
            let share = |ranks: &[usize], at| {
                ranks.iter().filter(|rank| **rank <= at).count() as f64 / ranks.len() as f64
            };
            for path in [ComputePath::HostLoops, ComputePath::TensorOps] {
                let (sequences, cold, config) = (&sequences, &cold, &config);
                let evaluation = ColdEvaluation { sequences, cold, config, history: 5, path };
                let mut done = 0;
                let found = evaluation.run(&model, &mut |more| {
                    done += more;
                    Ok(())
                });
                let found = found.unwrap();
                let counts = (found.items, found.targets, done);
                assert_eq!(counts, (cold.items.len() as u64, all.len() as u64, all.len() as u64));
                for at in [1, 5, 20] {
                    assert_eq!(found.among_all[&at], share(&all, at));
                    assert_eq!(found.among_cold[&at], share(&alone, at));
                }
            }
        }
    }
}
