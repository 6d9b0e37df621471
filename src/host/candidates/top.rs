//! The best candidates of every query: scores in tiles that stay in a core's cache, of which
//! only what reaches a query's threshold is kept. No matrix of all queries by all candidates
//! ever stands in memory.

use rayon::prelude::*;

use super::by_row::Term;
use super::queries::{Queries, QueryGradients, ScoreLoss, in_tasks};
use crate::host::simd::{Aligned, Lanes, Matrix, gemm, vectorised};
use crate::host::top_k::{Hit, TopK};

/// Queries whose vectors lie side by side: so narrow a block is read line by line and stays in
/// the first level of the cache, where the rows of a wider one would fall on each other's places.
const BLOCK: usize = 32;

/// Rows a tile, and queries that go against each of them at most: the more, the less often all
/// rows come from memory, as long as a tile's rows and scores stay near.
const ROWS: usize = 64;
const SIDE_BY_SIDE: usize = 256;

/// The k best candidates of the queries of a batch.
pub struct TopCandidates<'a> {
    queries: &'a Queries<'a>,
    k: usize,
    /// `[queries]`, of each k or all.
    found: Vec<Vec<Hit>>,
}

impl<'a> TopCandidates<'a> {
    /// Searches the `k` best of all queries.
    pub fn new(queries: &'a Queries<'a>, k: usize) -> Self {
        let mut shared = vec![0; queries.rows.len()];
        queries.slots.shared.iter().for_each(|&slot| shared[slot as usize] += 1);
        let count = queries.len();
        // What is found does not depend on the cut.
        let each = count.div_ceil(rayon::current_num_threads()).next_multiple_of(BLOCK);
        let each = each.clamp(BLOCK, SIDE_BY_SIDE);
        let tasks: Vec<usize> = (0..count).step_by(each).collect();
        let of_task = |&from: &usize| top_of(queries, k, &shared, from, each.min(count - from));
        let found = tasks.par_iter().with_max_len(1).flat_map_iter(of_task).collect();
        Self { queries, k, found }
    }

    /// All queries of the batch.
    pub fn gradients(&self, loss: &dyn ScoreLoss) -> Vec<QueryGradients> {
        let part = |from, count| self.part(loss, from, count);
        in_tasks(0, self.queries.len(), part)
    }

    /// Queries `from..from + count`.
    fn part(&self, loss: &dyn ScoreLoss, from: usize, count: usize) -> QueryGradients {
        let queries = self.queries;
        let (mut scores, mut slots) = (vec![], vec![]);
        for query in from..from + count {
            let row = queries.slots.targets[query] as u32;
            let nobody = Hit { row, score: f32::NEG_INFINITY };
            let found = self.found[query].iter();
            for hit in found.chain(std::iter::repeat(&nobody)).take(self.k) {
                scores.push(hit.score);
                slots.push(hit.row);
            }
        }
        let log_counts = queries
            .log_counts
            .map(|of_slot| slots.iter().map(|&slot| of_slot[slot as usize]).collect::<Vec<f32>>());
        let slopes = queries.slopes(loss, from, count, &scores, log_counts.as_deref());
        let wide = queries.rows.wide();
        let mut vectors = Aligned::zeros(count * wide);
        let (mut terms, mut list, mut gains) = (vec![], vec![], vec![]);
        for (at, vector) in vectors.chunks_exact_mut(wide).enumerate() {
            let own = at * self.k..(at + 1) * self.k;
            let rivals = slots[own.clone()].iter().zip(&slopes.negative[own]);
            list.clear();
            list.push((queries.slots.targets[from + at] as u32, slopes.positive[at]));
            list.extend(rivals.map(|(slot, slope)| (*slot, *slope)));
            list.retain(|(_, slope)| *slope != 0.0);
            queries.rows.weighted(queries.level, &list, queries.factor, vector);
            let query = from + at;
            let first_pair = gains.len();
            gains.resize(first_pair + queries.slots.gains.of(query).count(), 0.0);
            queries.slots.gains.add_slopes(query, &list, &mut gains[first_pair..]);
            let query = query as u32;
            terms.extend(list.iter().map(|&(slot, slope)| Term { slot, query, slope }));
        }
        QueryGradients { loss: slopes.loss, vectors, terms, slopes: vec![], gains }
    }
}

/// For each of the queries `from..from + count` its k best candidates; a query with fewer has
/// all. `shared` `[scored]`: how often each is a candidate of all queries.
fn top_of(queries: &Queries, k: usize, shared: &[u32], from: usize, count: usize) -> Vec<Vec<Hit>> {
    let Queries { level, vectors, rows: candidates, .. } = *queries;
    let (wide, columns) = (vectors.wide(), count.next_multiple_of(BLOCK));
    let mut across = Aligned::zeros(wide * columns);
    let mut best: Vec<TopK> = (0..count).map(|_| TopK::new(k)).collect();
    // Nothing reaches that of a column without a query.
    let mut thresholds = vec![f32::INFINITY; columns];
    // Slots that the tiles pass over, and whose.
    let mut passed_over = vec![];
    for at in 0..count {
        for (k, x) in vectors.row(from + at).iter().enumerate() {
            across[(at / BLOCK * wide + k) * BLOCK + at % BLOCK] = *x;
        }
        single_candidates(queries, from + at, shared, &mut best[at]);
        thresholds[at] = best[at].threshold();
        let gaining = queries.slots.gains.of(from + at).map(|(slot, _)| slot);
        let passed = queries.rejected(from + at).chain(gaining);
        passed.for_each(|slot| passed_over.push((slot as usize, at)));
    }
    passed_over.sort_unstable();
    let mut passed_over = passed_over.into_iter().peekable();
    let mut scores = Aligned::zeros(ROWS * columns);
    for first in (0..candidates.len()).step_by(ROWS) {
        let rows = ROWS.min(candidates.len() - first);
        let left = Matrix { at: candidates.start_of(first), row: wide, column: 1 };
        for (block, across) in across.chunks_exact(wide * BLOCK).enumerate() {
            let right = Matrix { at: across.as_ptr(), row: BLOCK, column: 1 };
            let to = scores[block * BLOCK..].as_mut_ptr();
            // SAFETY: rows `[rows, wide]`, across `[wide, BLOCK]`, scores `[ROWS, columns]` from a
            // block's first column on.
            unsafe { gemm(level, [rows, BLOCK, wide], left, right, to, columns, false) };
        }
        while let Some((slot, at)) = passed_over.next_if(|(slot, _)| *slot < first + rows) {
            scores[(slot - first) * columns + at] = f32::NEG_INFINITY;
        }
        let shared = &shared[first..first + rows];
        // SAFETY: the level is the machine's, columns are whole registers.
        unsafe { keep(level, &scores, shared, first as u32, &mut thresholds, &mut best) };
    }
    best.into_iter().map(TopK::finish).collect()
}

/// Takes one by one the candidates that a query does not share with the batch, and of those that it
/// does the ones whose scores gain something, each as often as it is one.
fn single_candidates(queries: &Queries, query: usize, shared: &[u32], best: &mut TopK) {
    let own = queries.own(query).map(|&slot| (slot, 1));
    let gaining = queries.slots.gains.of(query);
    let gaining = gaining.map(|(slot, _)| (i64::from(slot), shared[slot as usize]));
    for (slot, times) in own.chain(gaining.filter(|(_, times)| *times > 0)) {
        let score = queries.score(query, slot);
        for _ in 0..times {
            if score > f32::NEG_INFINITY && score >= best.threshold() {
                best.push(Hit { row: slot as u32, score });
            }
        }
    }
}

vectorised! {
    /// Takes what reaches the thresholds out of a tile of scores `[rows, columns]`, each as
    /// often as it is a candidate. −∞ is taken by nobody.
    unsafe fn keep(
        scores: &[f32],
        shared: &[u32],
        first: u32,
        thresholds: &mut [f32],
        best: &mut [TopK],
    ) = keep_lanes
}

#[inline(always)]
unsafe fn keep_lanes<V: Lanes>(
    scores: &[f32],
    shared: &[u32],
    first: u32,
    thresholds: &mut [f32],
    best: &mut [TopK],
) {
    for (at, (&times, row)) in shared.iter().zip(scores.chunks_exact(thresholds.len())).enumerate()
    {
        if times == 0 {
            continue;
        }
        for from in (0..thresholds.len()).step_by(V::N) {
            // SAFETY: columns are a multiple of every width.
            let mut mask = unsafe {
                V::load(row.as_ptr().add(from)).mask_ge(V::load(thresholds.as_ptr().add(from)))
            };
            while mask != 0 {
                let query = from + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let score = row[query];
                if score == f32::NEG_INFINITY {
                    continue;
                }
                for _ in 0..times {
                    best[query].push(Hit { row: first + at as u32, score });
                }
                thresholds[query] = best[query].threshold();
            }
        }
    }
}
