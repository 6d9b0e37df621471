//! What the lists of a model hold: how much of the catalogue, and how popular it is. A model that
//! knows best-sellers alone shows it here.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::catalogue::Catalogue;
use super::query::Query;
use super::rank::scores;
use crate::config::EvaluationConfig;
use crate::device::{ComputePath, memory};
use crate::host::panels::Panels;
use crate::host::ranking::{self, Ranked};
use crate::host::top_k::{Hit, first};
use crate::model::Model;
use crate::ranks::Team;

/// Users whose lists are looked into: of more, so many evenly spread ones.
pub const LISTED: usize = 1 << 14;

/// `count` of `users`, evenly spread; all of them if `count` is 0.
pub fn spread(users: Vec<usize>, count: usize) -> Vec<usize> {
    if count == 0 || count >= users.len() {
        return users;
    }
    (0..count).map(|at| users[at * users.len() / count]).collect()
}

/// What the lists of one length hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lists {
    /// The share of the catalogue that is in one of them at least.
    pub coverage: f64,
    /// How often an item of a list stands in what trains, in the mean over all places of all lists.
    pub popularity: f64,
}

/// What is listed for: a list for each query.
pub struct Listing<'a> {
    /// See [`Query::for_list`]; none without a history.
    pub queries: Vec<Query<'a>>,
    pub config: &'a EvaluationConfig,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    /// `[items]`: how often each item stands in what trains.
    pub counts: &'a [u64],
    /// How the catalogue is gone through; of ranks by tensor ops either way.
    pub path: ComputePath,
}

impl Listing<'_> {
    /// Of each N what the lists of the N best hold; the longest may be shorter where items run out.
    /// `progress` hears how many queries more are done.
    ///
    /// # Errors
    /// When an item vector is not a number; those of `progress`.
    pub fn run(
        mut self,
        model: &Model,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<BTreeMap<usize, Lists>> {
        let _guard = tch::no_grad_guard();
        let items = Catalogue::of(model, self.path).checked()?;
        let in_loops = self.path == ComputePath::HostLoops && items.team().is_alone();
        let panels = in_loops.then(|| Panels::new(&items.on_host()));
        let block = if in_loops { items.users_a_block() } else { items.rows_a_block() };
        let mut tallies: Vec<Tally> =
            self.config.at.iter().map(|&at| Tally::new(at, self.counts.len())).collect();
        self.queries.sort_by_key(|query| query.latest(self.history).len());
        for queries in self.queries.chunks(block) {
            let users = Query::vectors(model, queries, self.history).contiguous();
            let best = match &panels {
                Some(panels) => self.best_in_loops(memory::floats(&users), &items, panels, queries),
                None => self.best(&users, &items, queries)?,
            };
            for list in best {
                tallies.iter_mut().for_each(|tally| tally.add(&list, self.counts));
            }
            progress(queries.len() as u64)?;
        }
        Ok(tallies.into_iter().map(|tally| (tally.at, tally.lists())).collect())
    }

    /// How long the longest list can be.
    fn longest(&self) -> usize {
        self.config.at.iter().max().map_or(0, |&at| at.min(self.counts.len()))
    }

    /// For each query the rows of its best items, the best first, as many as the longest list has; `users`
    /// `[queries, dim]`.
    fn best_in_loops(
        &self,
        users: &[f32],
        items: &Catalogue,
        panels: &Panels,
        queries: &[Query],
    ) -> Vec<Vec<i64>> {
        let ranked: Vec<Ranked> =
            queries.iter().map(|query| query.ranked(items, self.config.seen)).collect();
        // Of the best by vectors alone those that are hidden or gain go.
        let most = |query: &Ranked| self.longest() + query.hidden.len() + query.gains.len();
        let found = panels.search(users, &ranked.iter().map(most).collect::<Vec<_>>());
        let gaining: Vec<Vec<u32>> =
            ranked.iter().map(|query| query.gains.iter().map(|(id, _)| *id).collect()).collect();
        let asked = gaining.iter().zip(&ranked).map(|(targets, query)| Ranked {
            targets,
            hidden: vec![],
            gains: query.gains.clone(),
        });
        let asked: Vec<Ranked> = asked.collect();
        let gained = ranking::target_scores(users, &items.on_host(), &asked);
        let mut lists = vec![];
        for ((hits, query), (asked, scores)) in
            found.into_iter().zip(&ranked).zip(asked.iter().zip(gained))
        {
            let ids = asked.targets;
            let other =
                |id: &u32| query.hidden.binary_search(id).is_ok() || ids.binary_search(id).is_ok();
            let alone = hits.into_iter().filter(|hit| !other(&(hit.row + 1)));
            let gained = ids.iter().zip(scores).map(|(id, score)| Hit { row: id - 1, score });
            let best = first(alone.chain(gained).collect(), self.longest());
            lists.push(best.into_iter().map(|hit| i64::from(hit.row)).collect());
        }
        lists
    }

    /// The same by tensor ops.
    fn best(&self, users: &Tensor, items: &Catalogue, queries: &[Query]) -> Result<Vec<Vec<i64>>> {
        let shard = items.team().shard();
        let ranked = queries.iter().map(|query| query.ranked(items, self.config.seen));
        let ranked: Vec<Ranked> = match items.team().is_alone() {
            true => ranked.collect(),
            false => ranked.map(|query| query.of_shard(&[], shard)).collect(),
        };
        let scores = scores(users, items, &ranked);
        let longest = self.longest();
        let (best, rows) = scores.topk((longest as i64).min(scores.size()[1]), 1, true, true);
        if !items.team().is_alone() {
            return merged(items.team(), &best, &rows, longest);
        }
        let host = |tensor: &Tensor| tensor.to_device(Device::Cpu).contiguous().view(-1);
        let rows = Vec::<i64>::try_from(host(&rows))?;
        let given = Vec::<bool>::try_from(host(&best.gt(f64::NEG_INFINITY)))?;
        let places = rows.chunks(longest.max(1)).zip(given.chunks(longest.max(1)));
        let list = |(rows, given): (&[i64], &[bool])| {
            rows.iter().zip(given).filter(|(_, given)| **given).map(|(row, _)| *row).collect()
        };
        Ok(places.map(list).collect())
    }
}

/// For each query the rows of its `longest` best items, from those that are best at each rank: scores
/// `best` and local `rows` `[queries, some]`.
fn merged(team: &Team, best: &Tensor, rows: &Tensor, longest: usize) -> Result<Vec<Vec<i64>>> {
    let (shard, queries) = (team.shard(), best.size()[0] as usize);
    let flat = |tensor: &Tensor| tensor.contiguous().view(-1);
    let local = Vec::<i64>::try_from(flat(rows))?;
    // Item `i` stands in row `i - 1`.
    let own: Vec<i64> =
        local.into_iter().map(|row| shard.global(row as usize + 1) as i64 - 1).collect();
    let scores = team.each(&Vec::<f32>::try_from(flat(best))?);
    let all = team.each(&own);
    let list = |query: usize| {
        let mut list: Vec<(f32, i64)> = vec![];
        for (scores, rows) in scores.iter().zip(&all) {
            let some = rows.len() / queries;
            let own = query * some..(query + 1) * some;
            list.extend(scores[own.clone()].iter().copied().zip(rows[own].iter().copied()));
        }
        list.retain(|(score, _)| *score > f32::NEG_INFINITY);
        list.sort_by(|(a, row), (b, other)| b.total_cmp(a).then(row.cmp(other)));
        list.into_iter().take(longest).map(|(_, row)| row).collect()
    };
    Ok((0..queries).map(list).collect())
}

/// What the lists of one length hold so far.
pub(super) struct Tally {
    pub at: usize,
    /// `[items]`
    listed: Vec<bool>,
    places: u64,
    /// Of the counts of what stands in them.
    sum: u64,
}

impl Tally {
    pub fn new(at: usize, items: usize) -> Self {
        Self { at, listed: vec![false; items], places: 0, sum: 0 }
    }

    /// Counts a list of rows in, the best first.
    pub fn add(&mut self, list: &[i64], counts: &[u64]) {
        for &row in list.iter().take(self.at) {
            self.listed[row as usize] = true;
            self.places += 1;
            self.sum += counts[row as usize];
        }
    }

    pub fn lists(&self) -> Lists {
        let listed = self.listed.iter().filter(|listed| **listed).count();
        Lists {
            coverage: listed as f64 / self.listed.len() as f64,
            popularity: self.sum as f64 / self.places.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Protocol, Seen, TowerConfig};

    const ITEMS: usize = 20;

    #[test]
    fn users_are_spread_evenly_and_all_are_taken_when_there_are_too_few() {
        assert_eq!(spread((10..20).collect(), 4), [10, 12, 15, 17]);
        assert_eq!(spread(vec![3, 5], 0), [3, 5]);
        assert_eq!(spread(vec![3, 5], 9), [3, 5]);
    }

    /// The lists of one query by definition, in float64; `rows` `[items][dim]`.
    fn brute(user: &[f64], rows: &[Vec<f64>], hidden: &[u32], gains: &[(u32, f32)]) -> Vec<usize> {
        let dot = |row: &[f64]| row.iter().zip(user).map(|(a, b)| a * b).sum::<f64>();
        let gain = |at: usize| {
            let own = gains.iter().find(|(item, _)| *item as usize == at + 1);
            own.map_or(0.0, |(_, gain)| f64::from(*gain))
        };
        let score = |at: usize| dot(&rows[at]) / dot_self(&rows[at]).sqrt() + gain(at);
        let mut list: Vec<usize> =
            (0..ITEMS).filter(|at| !hidden.contains(&(*at as u32 + 1))).collect();
        list.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        list
    }

    fn dot_self(row: &[f64]) -> f64 {
        row.iter().map(|x| x * x).sum()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
        Vec::try_from(tensor.to_kind(tch::Kind::Double)).unwrap()
    }

    /// Item vectors have lengths of their own, by which the model divides.
    #[test]
    fn equals_brute_force_under_every_protocol() {
        for repeats in [false, true] {
            let tower = TowerConfig { dim: 4, repeats, ..TowerConfig::default() };
            let model = Model::new(&tower, ITEMS, 3, Device::Cpu);
            if let Some(repeats) = &model.repeats {
                let weights = Tensor::arange(16, (tch::Kind::Float, Device::Cpu)).cos() * 0.03;
                repeats.parameter().1.detach().copy_(&weights.view([2, 8]));
            }
            for path in [ComputePath::HostLoops, ComputePath::TensorOps] {
                under_every_protocol(&model, path);
            }
        }
    }

    fn under_every_protocol(model: &Model, path: ComputePath) {
        let counts: Vec<u64> = (0..ITEMS as u64).map(|item| item * item).collect();
        let sequences: [&[u32]; 3] = [&[1, 2, 3, 4, 5], &[7, 7, 9, 2, 20, 1], &[4, 20, 6, 6, 8]];
        // Neither begin nor end where the protocol would have it.
        let windows = [3..4, 4..5, 3..5];
        for (protocol, windows, histories) in [
            (Protocol::Holdout, None, [4, 4, 4]),
            (Protocol::LeaveOneOut, None, [4, 5, 4]),
            (Protocol::Positions, None, [4, 5, 4]),
            (Protocol::Holdout, Some(&windows), [3, 4, 3]),
            (Protocol::LeaveOneOut, Some(&windows), [3, 4, 4]),
            (Protocol::Positions, Some(&windows), [3, 4, 4]),
        ] {
            let window = |at: usize| windows.map(|own| own[at].clone());
            for seen in [Seen::Keep, Seen::Exclude] {
                let config = EvaluationConfig { protocol, at: vec![1, 3, 60], seen };
                let query = |(own, at)| Query::for_list(own, window(at), &config);
                let queries = sequences.into_iter().zip(0..).map(query).collect();
                let listing =
                    Listing { queries, config: &config, history: 3, counts: &counts, path };
                let mut done = 0;
                let found = listing
                    .run(model, &mut |more| {
                        done += more;
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(done, 3);
                let items = rows(&model.items.scored().rows());
                let lists = sequences.iter().zip(histories).map(|(own, known)| {
                    let read: Vec<i64> =
                        own[known - 3..known].iter().map(|id| i64::from(*id)).collect();
                    let user = model.users(&Tensor::from_slice(&read).view([1, 3]), None);
                    let hidden = if seen == Seen::Exclude { &own[..known] } else { &[] };
                    let gains =
                        model.additions().map_or(vec![], |own_gains| own_gains.of(&own[..known]));
                    brute(&rows(&user)[0], &items, hidden, &gains)
                });
                let lists: Vec<Vec<usize>> = lists.collect();
                for at in [1, 3, 60] {
                    let places = lists.iter().flat_map(|list| list.iter().take(at));
                    let places: Vec<usize> = places.copied().collect();
                    let mut distinct = places.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    let sum = places.iter().map(|place| counts[*place] as f64).sum::<f64>();
                    let expected = Lists {
                        coverage: distinct.len() as f64 / ITEMS as f64,
                        popularity: sum / places.len() as f64,
                    };
                    let case = (protocol, windows, seen, at, path);
                    assert_eq!(found[&at], expected, "{case:?}");
                }
            }
        }
    }
}
