//! The best candidates of every position: scores in tiles that stay in a core's cache, of which
//! only what reaches a position's threshold is kept. No matrix of all positions by all candidates
//! ever stands in memory.

use rayon::prelude::*;

use super::by_row::Term;
use super::loops::{HostBatch, Part, in_tasks};
use super::objective::Objective;
use super::rows::dot;
use crate::best::{Best, Hit};
use crate::simd::{Aligned, Lanes, Matrix, gemm, vectorised};

/// Positions whose vectors lie side by side: so narrow a block is read line by line and stays in
/// the first level of the cache, where the rows of a wider one would fall on each other's places.
const BLOCK: usize = 32;

/// Rows a tile, and positions that go against each of them at most: the more, the less often all
/// rows come from memory, as long as a tile's rows and scores stay near.
const ROWS: usize = 64;
const POSITIONS: usize = 256;

/// The k best candidates of the positions of a batch.
pub struct Search<'a> {
    batch: &'a HostBatch<'a>,
    k: usize,
    /// `[positions]`, of each k or all.
    found: Vec<Vec<Hit>>,
}

impl<'a> Search<'a> {
    /// Searches the `k` best of all positions.
    pub fn new(batch: &'a HostBatch<'a>, k: usize) -> Self {
        let mut shared = vec![0; batch.rows.len()];
        batch.shared.iter().for_each(|&slot| shared[slot as usize] += 1);
        let positions = batch.targets.len();
        // What is found does not depend on the cut.
        let each = positions.div_ceil(rayon::current_num_threads()).next_multiple_of(BLOCK);
        let each = each.clamp(BLOCK, POSITIONS);
        let tasks: Vec<usize> = (0..positions).step_by(each).collect();
        let of_task = |&from: &usize| best(batch, k, &shared, from, each.min(positions - from));
        let found = tasks.par_iter().with_max_len(1).flat_map_iter(of_task).collect();
        Self { batch, k, found }
    }

    /// All positions of the batch.
    pub fn parts(&self, objective: &Objective) -> Vec<Part> {
        let part = |from, count| self.part(objective, from, count);
        in_tasks(0, self.batch.targets.len(), part)
    }

    /// Positions `from..from + count`.
    fn part(&self, objective: &Objective, from: usize, count: usize) -> Part {
        let batch = self.batch;
        let positive: Vec<f32> = (from..from + count).map(|at| batch.positive(at)).collect();
        let (mut scores, mut slots) = (vec![], vec![]);
        for position in from..from + count {
            let row = batch.targets[position] as u32;
            let nobody = Hit { row, score: f32::NEG_INFINITY };
            let found = self.found[position].iter();
            for hit in found.chain(std::iter::repeat(&nobody)).take(self.k) {
                scores.push(hit.score);
                slots.push(hit.row);
            }
        }
        let log_counts = batch
            .log_counts
            .as_ref()
            .map(|of_slot| slots.iter().map(|&slot| of_slot[slot as usize]).collect::<Vec<f32>>());
        let slopes = batch.slopes(objective, &positive, &scores, log_counts.as_deref());
        let wide = batch.rows.wide();
        let mut vectors = Aligned::zeros(count * wide);
        let (mut terms, mut list) = (vec![], vec![]);
        for (at, vector) in vectors.chunks_exact_mut(wide).enumerate() {
            let own = at * self.k..(at + 1) * self.k;
            let rivals = slots[own.clone()].iter().zip(&slopes.negative[own]);
            list.clear();
            list.push((batch.targets[from + at] as u32, slopes.positive[at]));
            list.extend(rivals.map(|(slot, slope)| (*slot, *slope)));
            list.retain(|(_, slope)| *slope != 0.0);
            batch.rows.weighted(batch.level, &list, batch.factor, vector);
            let position = (from + at) as u32;
            terms.extend(list.iter().map(|&(slot, slope)| Term { slot, position, slope }));
        }
        Part { loss: slopes.loss, vectors, terms, slopes: vec![] }
    }
}

/// For each of the positions `from..from + count` its k best candidates; a position with fewer has
/// all. `shared` `[scored]`: how often each is a candidate of all positions.
fn best(batch: &HostBatch, k: usize, shared: &[u32], from: usize, count: usize) -> Vec<Vec<Hit>> {
    let HostBatch { level, vectors, rows: candidates, .. } = *batch;
    let (wide, columns) = (vectors.wide(), count.next_multiple_of(BLOCK));
    let mut across = Aligned::zeros(wide * columns);
    let mut best: Vec<Best> = (0..count).map(|_| Best::new(k)).collect();
    // Nothing reaches that of a column without a position.
    let mut thresholds = vec![f32::INFINITY; columns];
    let mut rejected = vec![];
    for at in 0..count {
        for (k, x) in vectors.row(from + at).iter().enumerate() {
            across[(at / BLOCK * wide + k) * BLOCK + at % BLOCK] = *x;
        }
        own_candidates(batch, from + at, &mut best[at]);
        thresholds[at] = best[at].threshold();
        batch.rejected(from + at).for_each(|slot| rejected.push((slot as usize, at)));
    }
    rejected.sort_unstable();
    let mut rejected = rejected.into_iter().peekable();
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
        while let Some((slot, at)) = rejected.next_if(|(slot, _)| *slot < first + rows) {
            scores[(slot - first) * columns + at] = f32::NEG_INFINITY;
        }
        let shared = &shared[first..first + rows];
        // SAFETY: the level is the machine's, columns are whole registers.
        unsafe { keep(level, &scores, shared, first as u32, &mut thresholds, &mut best) };
    }
    best.into_iter().map(Best::finish).collect()
}

/// Takes the candidates that a position does not share with the batch.
fn own_candidates(batch: &HostBatch, position: usize, best: &mut Best) {
    for &slot in batch.own(position) {
        let slot = slot as u32;
        if batch.rejected(position).any(|rejected| rejected == slot) {
            continue;
        }
        let (a, b) = (batch.vectors.row(position), batch.rows.row(slot as usize));
        // SAFETY: the level is the machine's, rows are as wide as each other.
        let score = unsafe { dot(batch.level, a, b) };
        if score >= best.threshold() {
            best.push(Hit { row: slot, score });
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
        best: &mut [Best],
    ) = keep_lanes
}

#[inline(always)]
unsafe fn keep_lanes<V: Lanes>(
    scores: &[f32],
    shared: &[u32],
    first: u32,
    thresholds: &mut [f32],
    best: &mut [Best],
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
                let position = from + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let score = row[position];
                if score == f32::NEG_INFINITY {
                    continue;
                }
                for _ in 0..times {
                    best[position].push(Hit { row: first + at as u32, score });
                }
                thresholds[position] = best[position].threshold();
            }
        }
    }
}
