//! The best candidates of every position: scores in tiles that stay in a core's cache, of which
//! only what reaches a position's threshold is kept. No matrix of all positions by all candidates
//! ever stands in memory.

use rayon::prelude::*;

use super::best::{Best, Scored};
use super::rows::{Wide, dot};
use crate::simd::{Lanes, Level, Matrix, gemm, vectorised};

/// Positions a task.
const POSITIONS: usize = 64;

/// Positions whose vectors lie side by side: so narrow a block is read line by line and stays in
/// the first level of the cache, where the rows of a wider one would fall on each other's places.
const BLOCK: usize = 32;

/// Rows a tile.
const ROWS: usize = 128;

/// What is searched: rows of candidates, and who has which of them.
pub struct Search<'a> {
    pub level: Level,
    /// `[scored, dim]`, ascending by item.
    pub rows: &'a Wide,
    /// `[scored]`: how often each is a candidate of all positions.
    pub shared: &'a [u32],
    /// `[positions]`: the session of each.
    pub session: &'a [i64],
    /// Slots of each session's candidates, and of each position's, as many for each.
    pub of_session: &'a [i64],
    pub of_position: &'a [i64],
    /// Slots that are no candidates of a position, ascending.
    pub rejected: Rejected<'a>,
    pub k: usize,
}

/// Slots that are rejected.
#[derive(Clone, Copy)]
pub enum Rejected<'a> {
    Nothing,
    /// `[positions]`: each position's target.
    Target(&'a [i64]),
    /// Those of session `s` are `slots[starts[s]..starts[s + 1]]`.
    OfSession {
        slots: &'a [u32],
        starts: &'a [usize],
    },
}

impl Rejected<'_> {
    /// Calls `f` with the slots of a position that lie in `from..to`.
    fn within(
        &self,
        position: usize,
        session: usize,
        (from, to): (u32, u32),
        mut f: impl FnMut(u32),
    ) {
        match self {
            Rejected::Nothing => {}
            Rejected::Target(slots) => {
                let slot = slots[position] as u32;
                if (from..to).contains(&slot) {
                    f(slot);
                }
            }
            Rejected::OfSession { slots, starts } => {
                let own = &slots[starts[session]..starts[session + 1]];
                own.iter().filter(|slot| (from..to).contains(slot)).for_each(|slot| f(*slot));
            }
        }
    }
}

impl Search<'_> {
    /// For each of the positions' vectors `[positions, dim]` its k best candidates, best first; a
    /// position with fewer has all.
    pub fn run(&self, vectors: &Wide) -> Vec<Vec<Scored>> {
        let count = vectors.len();
        let tasks: Vec<usize> = (0..count).step_by(POSITIONS).collect();
        let of_task = |&from: &usize| self.task(vectors, from, POSITIONS.min(count - from));
        tasks.par_iter().flat_map_iter(of_task).collect()
    }

    fn task(&self, vectors: &Wide, from: usize, count: usize) -> Vec<Vec<Scored>> {
        let wide = vectors.wide();
        let mut across = vec![0.0; wide * POSITIONS];
        for at in 0..count {
            for (k, x) in vectors.row(from + at).iter().enumerate() {
                across[(at / BLOCK * wide + k) * BLOCK + at % BLOCK] = *x;
            }
        }
        let mut thresholds = [f32::NEG_INFINITY; POSITIONS];
        let mut best: Vec<Best> = (0..count).map(|_| Best::new(self.k)).collect();
        for at in 0..count {
            thresholds[at] = self.own_candidates(vectors, from + at, &mut best[at]);
        }
        // Nothing reaches this.
        thresholds[count..].fill(f32::INFINITY);
        let mut scores = vec![0.0; ROWS * POSITIONS];
        for first in (0..self.rows.len()).step_by(ROWS) {
            let rows = ROWS.min(self.rows.len() - first);
            let left = Matrix { at: self.rows.row(first).as_ptr(), row: wide, column: 1 };
            for (block, across) in across.chunks_exact(wide * BLOCK).enumerate() {
                let right = Matrix { at: across.as_ptr(), row: BLOCK, column: 1 };
                let to = scores[block * BLOCK..].as_mut_ptr();
                let shape = [rows, BLOCK, wide];
                // SAFETY: rows `[rows, wide]`, across `[wide, BLOCK]`, scores `[ROWS, POSITIONS]`
                // from a block's first column on.
                unsafe { gemm(self.level, shape, left, right, to, POSITIONS, false) };
            }
            let range = (first as u32, (first + rows) as u32);
            for at in 0..count {
                let session = self.session[from + at] as usize;
                self.rejected.within(from + at, session, range, |slot| {
                    scores[(slot as usize - first) * POSITIONS + at] = f32::NEG_INFINITY;
                });
            }
            let shared = &self.shared[first..first + rows];
            // SAFETY: the level is the machine's.
            unsafe { keep(self.level, &scores, shared, first as u32, &mut thresholds, &mut best) };
        }
        let taken = |best: &mut Best| {
            let mut list = Vec::with_capacity(self.k);
            best.take(&mut list);
            list
        };
        best.iter_mut().map(taken).collect()
    }

    /// Takes the candidates that a position does not share with the batch; returns its threshold.
    fn own_candidates(&self, vectors: &Wide, position: usize, best: &mut Best) -> f32 {
        let session = self.session[position] as usize;
        let part = |slots: &[i64], at: usize, of: usize| -> std::ops::Range<usize> {
            let each = slots.len() / of;
            at * each..(at + 1) * each
        };
        let sessions = self.session.last().map_or(1, |last| *last as usize + 1);
        let of_session = &self.of_session[part(self.of_session, session, sessions)];
        let of_position = &self.of_position[part(self.of_position, position, self.session.len())];
        let mut threshold = f32::NEG_INFINITY;
        for &slot in of_session.iter().chain(of_position) {
            let slot = slot as u32;
            let mut rejected = false;
            self.rejected.within(position, session, (slot, slot + 1), |_| rejected = true);
            if rejected {
                continue;
            }
            let (a, b) = (vectors.row(position), self.rows.row(slot as usize));
            // SAFETY: the level is the machine's, rows are as wide as each other.
            let score = unsafe { dot(self.level, a, b) };
            if score >= threshold {
                threshold = best.push(Scored { score, slot }, threshold);
            }
        }
        threshold
    }
}

vectorised! {
    /// Takes what reaches the thresholds out of a tile of scores `[rows, POSITIONS]`, each as
    /// often as it is a candidate. −∞ is taken by nobody.
    unsafe fn keep(
        scores: &[f32],
        shared: &[u32],
        first: u32,
        thresholds: &mut [f32; POSITIONS],
        best: &mut [Best],
    ) = keep_lanes
}

#[inline(always)]
unsafe fn keep_lanes<V: Lanes>(
    scores: &[f32],
    shared: &[u32],
    first: u32,
    thresholds: &mut [f32; POSITIONS],
    best: &mut [Best],
) {
    for (at, (&times, row)) in shared.iter().zip(scores.chunks_exact(POSITIONS)).enumerate() {
        if times == 0 {
            continue;
        }
        for from in (0..POSITIONS).step_by(V::N) {
            // SAFETY: POSITIONS is a multiple of every width.
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
                let scored = Scored { score, slot: first + at as u32 };
                for _ in 0..times {
                    thresholds[position] = best[position].push(scored, thresholds[position]);
                }
            }
        }
    }
}
