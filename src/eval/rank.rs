//! The exact rank of each target among the whole catalogue.

use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

use super::catalogue::Catalogue;
use super::query::Query;
use crate::config::Seen;
use crate::device::{ComputePath, Kernels, UserItems, memory};
use crate::host::ranking::{self, Ranked};

/// For each query the ranks of its targets, in their order, from 1; `users` `[queries, dim]`.
///
/// A target's rank is 1 + the number of other items that score at least as high: a tie counts
/// against the target, so a model that gives all items one score finds nothing.
///
/// # Errors
/// When a score is not a number.
pub fn ranks(
    users: &Tensor,
    items: &Catalogue,
    queries: &[Query],
    seen: Seen,
) -> Result<Vec<Vec<u64>>> {
    let users = users.contiguous();
    let queries: Vec<Ranked> = queries.iter().map(|query| query.ranked(items, seen)).collect();
    let counts = match items.path() {
        ComputePath::HostLoops if !items.team().is_alone() => {
            counts_of_ranks(memory::floats(&users), items, &queries)
        }
        ComputePath::HostLoops => {
            ranking::counts(memory::floats(&users), &items.on_host(), &queries)
        }
        ComputePath::TensorOps => match items.kernels() {
            Some(kernels) => counts_by_kernels(kernels, &users, items, &queries)?,
            None => counts_by_tensors(&users, items, &queries)?,
        },
    };
    if counts.iter().any(|ranks| ranks.contains(&0)) {
        bail!("the model's scores are not numbers (NaN): its weights have diverged");
    }
    Ok(counts)
}

/// The same as [`ranking::counts`] where ranks have the items: each says what its own targets score, and
/// counts among its own items.
fn counts_of_ranks(users: &[f32], items: &Catalogue, queries: &[Ranked]) -> Vec<Vec<u64>> {
    let (team, shard) = (items.team(), items.team().shard());
    let here = |query: &Ranked| query.targets.iter().filter_map(|&id| shard.here(id)).collect();
    let targets: Vec<Vec<u32>> = queries.iter().map(here).collect();
    let both = queries.iter().zip(&targets);
    let own: Vec<Ranked> = both.map(|(query, targets)| query.of_shard(targets, shard)).collect();
    let items = items.on_host();
    // Nobody but its owner has anything to add to a target's score.
    let mut scored = ranking::target_scores(users, &items, &own).into_iter().flatten();
    let score = |&id: &u32| {
        shard.here(id).map_or(0.0, |_| scored.next().expect("one for each that is here"))
    };
    let mut scores: Vec<f32> = queries.iter().flat_map(|query| query.targets).map(score).collect();
    team.sum(&mut scores);
    let scores = by_query(queries, scores);
    let mut counts = ranking::counts_against(users, &items, &own, &scores);
    let mut flat = counts.concat();
    team.sum(&mut flat);
    counts.iter_mut().flatten().zip(flat).for_each(|(count, sum)| *count = sum);
    counts
}

/// For each query and target how many items score at least as high, the target among them.
fn counts_by_tensors(
    users: &Tensor,
    items: &Catalogue,
    queries: &[Ranked],
) -> Result<Vec<Vec<u64>>> {
    let scores = scores(users, items, queries);
    let [rows, columns] = pairs(queries, |q| q.targets.iter().copied(), users.device());
    let own = scores.index(&[Some(&rows), Some(&columns)]);
    Ok(by_query(queries, counts(&scores, &rows, &own, items.rows_a_block() as i64)?))
}

/// The same by kernels of a GPU.
fn counts_by_kernels(
    kernels: Kernels,
    users: &Tensor,
    items: &Catalogue,
    queries: &[Ranked],
) -> Result<Vec<Vec<u64>>> {
    let (mut targets, mut others) = (UserItems::default(), UserItems::default());
    let item = |id: u32| id as usize - 1;
    for (user, query) in queries.iter().enumerate() {
        let gain = |id| query.with_gain(id, 0.0);
        query.targets.iter().for_each(|&id| targets.push(user, item(id), gain(id)));
        query.hidden.iter().for_each(|&id| others.push(user, item(id), f32::NEG_INFINITY));
        query.gains.iter().for_each(|&(id, gain)| others.push(user, item(id), gain));
    }
    let across = (items.across(kernels), items.rows().size()[0]);
    let counts = Vec::<i32>::try_from(kernels.reaching(users, across, &targets, &others))?;
    Ok(by_query(queries, counts.into_iter().map(|count| count as u64)))
}

/// What there is of each target, one query's after the other's, query by query.
fn by_query<T>(queries: &[Ranked], flat: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut flat = flat.into_iter();
    queries.iter().map(|query| flat.by_ref().take(query.targets.len()).collect()).collect()
}

/// The scores `[queries, items]` by which the catalogue is ranked; what a query hides has −∞.
pub(super) fn scores(users: &Tensor, items: &Catalogue, queries: &[Ranked]) -> Tensor {
    let device = users.device();
    let mut scores = users.matmul(&items.rows().tr());
    if items.is_unit() {
        scores *= items.inverse_lengths();
    }
    let gains: Vec<f32> = queries.iter().flat_map(|q| &q.gains).map(|(_, gain)| *gain).collect();
    if !gains.is_empty() {
        let places = pairs(queries, |q| q.gains.iter().map(|(item, _)| *item), device);
        let gains = Tensor::from_slice(&gains).to_kind(scores.kind()).to_device(device);
        let _ = scores.index_put_(&places.map(Some), &gains, true);
    }
    if queries.iter().any(|query| !query.hidden.is_empty()) {
        let places = pairs(queries, |q| q.hidden.iter().copied(), device);
        let never = Tensor::full([1], f64::NEG_INFINITY, (scores.kind(), device));
        let _ = scores.index_put_(&places.map(Some), &never, false);
    }
    scores
}

/// For each target, how many of the scores in its row are at least its own. A target scores as
/// high as itself: the count is its rank.
///
/// `scores` `[queries, items]`, `rows` `[targets]` and `own` `[targets]`: each target's query and
/// score; `block` targets at a time.
fn counts(scores: &Tensor, rows: &Tensor, own: &Tensor, block: i64) -> Result<Vec<u64>> {
    let parts: Vec<Tensor> = rows
        .split(block, 0)
        .iter()
        .zip(own.split(block, 0))
        .map(|(rows, own)| {
            let rivals = scores.index_select(0, rows);
            rivals.ge_tensor(&own.unsqueeze(1)).sum_dim_intlist(1, false, Kind::Int64)
        })
        .collect();
    let counts = Vec::<i64>::try_from(Tensor::cat(&parts, 0))?;
    Ok(counts.into_iter().map(|count| count as u64).collect())
}

/// Row and column indices (query, item − 1) of the items that `of` names for each query.
fn pairs<'a, I: Iterator<Item = u32>>(
    queries: &'a [Ranked],
    of: impl Fn(&'a Ranked) -> I,
    device: Device,
) -> [Tensor; 2] {
    let (mut rows, mut columns) = (vec![], vec![]);
    for (row, query) in queries.iter().enumerate() {
        for id in of(query) {
            rows.push(row as i64);
            columns.push(i64::from(id) - 1);
        }
    }
    [rows, columns].map(|own| Tensor::from_slice(&own).to_device(device))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{SizeRange, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::model::Scoring;

    /// Both ways; tensor ops in float64 too, as loops cannot.
    const PATHS: [(Kind, ComputePath); 3] = [
        (Kind::Float, ComputePath::HostLoops),
        (Kind::Float, ComputePath::TensorOps),
        (Kind::Double, ComputePath::TensorOps),
    ];

    /// Ranks by definition, over scores in exact arithmetic (small whole numbers).
    fn brute(
        users: &[Vec<i32>],
        items: &[Vec<i32>],
        queries: &[Query],
        seen: Seen,
    ) -> Vec<Vec<u64>> {
        let dot = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<i32>();
        let of = |(user, query): (&Vec<i32>, &Query)| {
            let mut ranks = vec![];
            for target in &query.targets {
                let own = dot(user, &items[*target as usize - 1]);
                let mut rank = 1;
                for (at, item) in items.iter().enumerate() {
                    let id = at as u32 + 1;
                    let hidden = seen == Seen::Exclude && query.history.contains(&id);
                    if id != *target && !hidden && dot(user, item) >= own {
                        rank += 1;
                    }
                }
                ranks.push(rank);
            }
            ranks
        };
        users.iter().zip(queries).map(of).collect()
    }

    /// `count` vectors of a few whole numbers, so that many scores are equal.
    fn vectors(count: impl Into<SizeRange>, dim: usize) -> impl Strategy<Value = Vec<Vec<i32>>> {
        vec(vec(-1i32..=1, dim), count)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn equals_brute_force_with_many_ties(
            (users, items) in (1usize..4).prop_flat_map(|dim| (vectors(6, dim), vectors(1..600, dim))),
            sequences in vec(vec(any::<prop::sample::Index>(), 5..9), 6),
        ) {
            let id = |index: &prop::sample::Index| index.index(items.len()) as u32 + 1;
            let sequences: Vec<Vec<u32>> =
                sequences.iter().map(|own| own.iter().map(id).collect()).collect();
            let tensor = |rows: &[Vec<i32>]| {
                let flat: Vec<f32> = rows.concat().iter().map(|&x| x as f32).collect();
                Tensor::from_slice(&flat).view([rows.len() as i64, -1])
            };
            for seen in [Seen::Keep, Seen::Exclude] {
                let asked = |own| Query::of_holdout(own, Some(4..own.len()), seen);
                let queries: Vec<Query> = sequences.iter().map(|own| asked(own)).collect();
                let expected = brute(&users, &items, &queries, seen);
                for (kind, path) in PATHS {
                    let (users, items) =
                        (tensor(&users).to_kind(kind), tensor(&items).to_kind(kind));
                    let fast = ranks(&users, &Catalogue::new(items, path), &queries, seen).unwrap();
                    prop_assert_eq!(&fast, &expected);
                }
            }
        }
    }

    #[test]
    fn a_model_that_scores_all_items_alike_finds_nothing() {
        // Awkward sizes, so that a matrix product's edges are among the columns.
        for (dim, catalogue) in [(32, 1003i64), (7, 517), (32, 54_542), (64, 8191)] {
            let row = Tensor::rand([1, dim], (Kind::Float, Device::Cpu));
            let items = row.repeat([catalogue, 1]);
            let users = Scoring::unit(&Tensor::rand([5, dim], (Kind::Float, Device::Cpu)));
            let queries: Vec<Query> = (0..5)
                .map(|u| Query::new(&[], vec![1 + u, 300 + u, catalogue as u32 - u]))
                .collect();
            let unit = Scoring::unit(&items);
            let path = ComputePath::HostLoops;
            for items in [Catalogue::of_unit(items, path), Catalogue::new(unit, path)] {
                for ranks in ranks(&users, &items, &queries, Seen::Keep).unwrap() {
                    assert!(ranks.iter().all(|&rank| rank == catalogue as u64), "{dim}: {ranks:?}");
                }
            }
        }
    }

    /// Vectors so unlike in length that ranks without the division would be others.
    #[test]
    fn items_are_brought_to_unit_length_without_a_copy() {
        for (kind, path) in PATHS {
            let lengths = Tensor::logspace(-2.0, 2.0, 700, 10.0, (kind, Device::Cpu));
            let items = Tensor::randn([700, 24], (kind, Device::Cpu)) * lengths.unsqueeze(1);
            let users = Tensor::randn([9, 24], (kind, Device::Cpu));
            let queries: Vec<Query> =
                (0..9).map(|u| Query::new(&[], vec![1 + u, 600 + u])).collect();
            let of = |items| ranks(&users, &items, &queries, Seen::Keep).unwrap();
            let unit = Scoring::unit(&items);
            assert_eq!(of(Catalogue::of_unit(items, path)), of(Catalogue::new(unit, path)));
        }
    }

    #[test]
    fn scores_that_are_not_numbers_are_an_error() {
        let items = Tensor::ones([4, 2], (Kind::Float, Device::Cpu));
        let users = Tensor::full([1, 2], f64::NAN, (Kind::Float, Device::Cpu));
        let queries = [Query::new(&[], vec![2])];
        assert!(
            ranks(&users, &Catalogue::new(items, ComputePath::HostLoops), &queries, Seen::Keep)
                .unwrap_err()
                .to_string()
                .contains("NaN")
        );
    }
}
