//! Counting what beats each target, in tiles that stay in a core's cache, float32 on the host.
//!
//! The score of a user and an item is one function of the two vectors, wherever it is taken: the
//! sum of their products in order of rising dimension, rounded as [`Lanes::mul_add`] rounds. So a
//! tie is a tie.

use rayon::prelude::*;

use super::simd::{self, Aligned, Lanes, Level, Matrix, gemm, vectorised};
use super::unit::inverse_length;
use crate::ranks::Shard;

/// Items a tile.
const TILE: usize = 512;

/// Users whose scores with a tile are held at once.
const USERS: usize = 8;

/// Tiles a task at most.
const TILES: usize = 16;

/// `rows` `[items, dim]`; taken at unit length where there is the ε that stands beside the squared
/// length then.
pub struct Items<'a> {
    pub rows: &'a [f32],
    pub dim: usize,
    pub unit: Option<f32>,
}

/// Who is ranked for.
pub struct Ranked<'a> {
    /// Item ids, from 1.
    pub targets: &'a [u32],
    /// Distinct items that are left out of the ranking, none of them a target.
    pub hidden: Vec<u32>,
    /// Distinct items whose scores gain a number, none of them hidden; ascending.
    pub gains: Vec<(u32, f32)>,
}

impl Ranked<'_> {
    /// What a rank that has the items of `shard` has to know of it, by their rows there; `targets`: its
    /// own ones likewise.
    pub fn of_shard<'b>(&self, targets: &'b [u32], shard: Shard) -> Ranked<'b> {
        Ranked {
            targets,
            hidden: self.hidden.iter().filter_map(|&id| shard.here(id)).collect(),
            gains: self
                .gains
                .iter()
                .filter_map(|&(id, gain)| Some((shard.here(id)?, gain)))
                .collect(),
        }
    }

    /// The score of an item with what it gains.
    pub fn with_gain(&self, id: u32, score: f32) -> f32 {
        let place = self.gains.binary_search_by_key(&id, |(item, _)| *item);
        place.map_or(score, |place| score + self.gains[place].1)
    }
}

impl Items<'_> {
    /// What a row is multiplied with: a function of the row alone.
    pub(super) fn factor(&self, row: &[f32]) -> f32 {
        let square = || row.iter().map(|x| x * x).sum::<f32>();
        self.unit.map_or(1.0, |epsilon| inverse_length(square(), epsilon))
    }

    /// The vector of item `id`.
    fn vector(&self, id: u32) -> Vec<f32> {
        let row = &self.rows[(id as usize - 1) * self.dim..][..self.dim];
        let factor = self.factor(row);
        row.iter().map(|x| x * factor).collect()
    }

    /// A tile of rows as vectors `[dim, TILE]`.
    fn transpose(&self, tile: &[f32], across: &mut [f32]) {
        for (at, row) in tile.chunks(self.dim).enumerate() {
            let factor = self.factor(row);
            for (k, x) in row.iter().enumerate() {
                across[k * TILE + at] = x * factor;
            }
        }
    }
}

/// For each query and each of its targets, in order: how many items score at least as high, the
/// target among them; 0 where a score is not a number. `users` `[queries, dim]`.
pub fn counts(users: &[f32], items: &Items, queries: &[Ranked]) -> Vec<Vec<u64>> {
    counts_against(users, items, queries, &target_scores(users, items, queries))
}

/// For each query the scores of its targets, in their order.
pub fn target_scores(users: &[f32], items: &Items, queries: &[Ranked]) -> Vec<Vec<f32>> {
    let (level, dim) = (simd::level(), items.dim);
    let of = |(user, query): (&[f32], &Ranked)| {
        // SAFETY: the level is the machine's.
        let score = |id| unsafe { score(level, user, &items.vector(id)) };
        query.targets.iter().map(|&id| query.with_gain(id, score(id))).collect()
    };
    users.chunks_exact(dim).zip(queries).map(of).collect()
}

/// For each query and each of its numbers in `own`: how many items score at least as high.
pub fn counts_against(
    users: &[f32],
    items: &Items,
    queries: &[Ranked],
    own: &[Vec<f32>],
) -> Vec<Vec<u64>> {
    let level = simd::level();
    let dim = items.dim;
    let user = |row: usize| &users[row * dim..][..dim];
    // SAFETY: the level is the machine's.
    let score = |row: usize, id: u32| unsafe { score(level, user(row), &items.vector(id)) };
    let tasks: Vec<&[f32]> = items.rows.chunks(TILE * TILES * dim).collect();
    let count_task = |task: &&[f32]| {
        let mut counts: Vec<Vec<u64>> = own.iter().map(|own| vec![0; own.len()]).collect();
        let mut across = Aligned::zeros(dim * TILE);
        let mut scores = Aligned::zeros(USERS * TILE);
        for tile in task.chunks(TILE * dim) {
            items.transpose(tile, &mut across);
            let filled = tile.len() / dim;
            for from in (0..queries.len()).step_by(USERS) {
                let to = queries.len().min(from + USERS);
                let users = &users[from * dim..to * dim];
                against_tile(level, users, &across, dim, &mut scores);
                let rows = scores.chunks_mut(TILE).zip(&own[from..to]).zip(&mut counts[from..to]);
                for ((row, own), counts) in rows {
                    // Behind the last item there is nothing that anything compares with.
                    row[filled..].fill(f32::NAN);
                    for (own, count) in own.iter().zip(counts) {
                        // SAFETY: the level is the machine's.
                        *count += u64::from(unsafe { at_least(level, row, *own) });
                    }
                }
            }
        }
        counts
    };
    let add = |mut a: Vec<Vec<u64>>, b: Vec<Vec<u64>>| {
        let pairs = a.iter_mut().flatten().zip(b.iter().flatten());
        pairs.for_each(|(a, b)| *a += b);
        a
    };
    let none = || own.iter().map(|own| vec![0; own.len()]).collect();
    let mut counts = tasks.par_iter().map(count_task).reduce(none, add);
    for (row, (query, counts)) in queries.iter().zip(&mut counts).enumerate() {
        for &(id, gain) in &query.gains {
            let plain = score(row, id);
            for (count, own) in counts.iter_mut().zip(&own[row]) {
                *count -= u64::from(plain >= *own);
                *count += u64::from(plain + gain >= *own);
            }
        }
        for &id in &query.hidden {
            let hidden = score(row, id);
            for (count, own) in counts.iter_mut().zip(&own[row]) {
                *count -= u64::from(hidden >= *own);
            }
        }
    }
    counts
}

/// Scores `[users, TILE]` of some users with a tile.
fn against_tile(level: Level, users: &[f32], across: &[f32], dim: usize, scores: &mut [f32]) {
    let left = Matrix { at: users.as_ptr(), row: dim, column: 1 };
    let right = Matrix { at: across.as_ptr(), row: TILE, column: 1 };
    let shape = [users.len() / dim, TILE, dim];
    // SAFETY: users `[up to USERS, dim]`, across `[dim, TILE]`, scores `[USERS, TILE]`.
    unsafe { gemm(level, shape, left, right, scores.as_mut_ptr(), TILE, false) };
}

vectorised! {
    /// The score of one user and one item.
    unsafe fn score(user: &[f32], item: &[f32]) -> f32 = score_lanes
}

#[inline(always)]
unsafe fn score_lanes<V: Lanes>(user: &[f32], item: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    // SAFETY: `lanes` holds the widest register.
    unsafe {
        let mut sum = V::splat(0.0);
        for (u, v) in user.iter().zip(item) {
            sum = V::splat(*u).mul_add(V::splat(*v), sum);
        }
        sum.store(lanes.as_mut_ptr());
    }
    lanes[0]
}

vectorised! {
    /// How many of a tile's scores are at least `own`.
    unsafe fn at_least(row: &[f32], own: f32) -> u32 = at_least_lanes
}

#[inline(always)]
unsafe fn at_least_lanes<V: Lanes>(row: &[f32], own: f32) -> u32 {
    // SAFETY: a tile is whole registers long.
    unsafe {
        let own = V::splat(own);
        // Two counts, so that one addition need not wait for the other.
        let (mut even, mut odd) = (V::no_count(), V::no_count());
        for from in (0..TILE).step_by(2 * V::N) {
            even = V::load(row.as_ptr().add(from)).count_ge(own, even);
            odd = V::load(row.as_ptr().add(from + V::N)).count_ge(own, odd);
        }
        V::total(even) + V::total(odd)
    }
}
