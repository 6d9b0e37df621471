//! Losses over all candidates: those of the whole batch by matrix products, a query's and a
//! history's own one by one.

use rayon::prelude::*;

use super::by_row::Term;
use super::queries::{QUERIES, Queries, QueryGradients, ScoreLoss, in_tasks};
use crate::host::padded::PaddedRows;
use crate::host::simd::{Aligned, Matrix, gemm};

/// Candidates whose rows stand side by side.
const PANEL: usize = 32;

/// Candidates of a product's inner sum: so many rows, two registers of each, stay in the nearest
/// cache.
const INNER: usize = 256;

/// Slopes that stand in memory at once: 64 MiB of float32.
const GROUP: usize = 1 << 24;

/// Losses over all candidates of a query.
pub struct AllCandidates {
    /// [`GROUP`], or what a test sets.
    pub group: usize,
    /// `[shared]`: their rows, a candidate that was drawn twice twice.
    in_order: PaddedRows,
    /// `[panels, wide, PANEL]`
    across: Aligned,
    /// Of slot `s` the places in `in_order` are `places[starts[s]..starts[s + 1]]`.
    starts: Vec<u32>,
    places: Vec<u32>,
    /// `[shared]`: their rows' gradients.
    pub gradient: PaddedRows,
}

impl Default for AllCandidates {
    fn default() -> Self {
        Self {
            group: GROUP,
            in_order: PaddedRows::default(),
            across: Aligned::default(),
            starts: vec![],
            places: vec![],
            gradient: PaddedRows::default(),
        }
    }
}

impl AllCandidates {
    /// All queries of a batch; the gradients of the shared candidates' rows are in
    /// [`AllCandidates::gradient`] afterwards.
    pub fn gradients(&mut self, queries: &Queries, loss: &dyn ScoreLoss) -> Vec<QueryGradients> {
        self.fit(queries);
        let group = (self.group / queries.candidates()).max(1).next_multiple_of(QUERIES);
        let mut parts = vec![];
        for first in (0..queries.len()).step_by(group) {
            let (own, end) = (&*self, queries.len().min(first + group));
            let mut of_group =
                in_tasks(first, end, |from, count| own.part(queries, loss, from, count));
            self.add(queries, first, &of_group);
            of_group.iter_mut().for_each(|part| part.slopes = vec![]);
            parts.append(&mut of_group);
        }
        parts
    }

    /// Lays out the shared candidates of another batch.
    fn fit(&mut self, queries: &Queries) {
        let (rows, shared) = (queries.rows, queries.slots.shared);
        let wide = rows.wide();
        self.in_order.pick(rows, shared);
        self.gradient.clear(shared.len(), rows.dim());
        self.across.resize(shared.len().next_multiple_of(PANEL) * wide);
        let panels = self.across.par_chunks_exact_mut(PANEL * wide).zip(shared.par_chunks(PANEL));
        panels.for_each(|(to, slots)| {
            for (at, &slot) in slots.iter().enumerate() {
                let row = rows.row(slot as usize);
                row.iter().enumerate().for_each(|(k, x)| to[k * PANEL + at] = *x);
            }
        });
        self.starts.clear();
        self.starts.resize(rows.len() + 1, 0);
        shared.iter().for_each(|&slot| self.starts[slot as usize + 1] += 1);
        (0..rows.len()).for_each(|slot| self.starts[slot + 1] += self.starts[slot]);
        self.places.resize(shared.len(), 0);
        let mut next = self.starts.clone();
        for (place, &slot) in shared.iter().enumerate() {
            let next = &mut next[slot as usize];
            self.places[*next as usize] = place as u32;
            *next += 1;
        }
    }

    /// Queries `first..first + count`; the slopes of the shared candidates are left in the part.
    fn part(
        &self,
        queries: &Queries,
        loss: &dyn ScoreLoss,
        first: usize,
        count: usize,
    ) -> QueryGradients {
        let (level, wide, columns) = (queries.level, queries.rows.wide(), queries.candidates());
        let shared = queries.slots.shared.len();
        let scores = self.scores(queries, first, count);
        let log_counts = queries.log_counts.as_ref().map(|of_slot| {
            let of = |slot: &i64| of_slot[*slot as usize];
            let row = |at| queries.slots.shared.iter().chain(queries.own(at)).map(of);
            (first..first + count).flat_map(row).collect::<Vec<f32>>()
        });
        let slopes = queries.slopes(loss, first, count, &scores, log_counts.as_deref());
        let mut vectors = Aligned::zeros(count * wide);
        for from in (0..shared).step_by(INNER) {
            let inner = INNER.min(shared - from);
            let left = Matrix { at: slopes.negative[from..].as_ptr(), row: columns, column: 1 };
            let right = Matrix { at: self.in_order.start_of(from), row: wide, column: 1 };
            let (shape, to) = ([count, wide, inner], vectors.as_mut_ptr());
            // SAFETY: slopes `[count, columns]` from column `from` on, rows `[inner, wide]`,
            // vectors `[count, wide]`.
            unsafe { gemm(level, shape, left, right, to, wide, from > 0) };
        }
        let (mut terms, mut gains) = (vec![], vec![]);
        let mut own = vec![0.0; wide];
        for (at, vector) in vectors.chunks_exact_mut(wide).enumerate() {
            let query = first + at;
            let known = terms.len();
            let slopes_of = &slopes.negative[at * columns + shared..(at + 1) * columns];
            let all = std::iter::once((&queries.slots.targets[query], &slopes.positive[at]))
                .chain(queries.own(query).zip(slopes_of));
            terms.extend(all.filter(|(_, slope)| **slope != 0.0).map(|(slot, slope)| Term {
                slot: *slot as u32,
                query: query as u32,
                slope: *slope,
            }));
            let list: Vec<(u32, f32)> = terms[known..].iter().map(|t| (t.slot, t.slope)).collect();
            queries.rows.weighted(level, &list, 1.0, &mut own);
            vector.iter_mut().zip(&own).for_each(|(g, own)| *g = queries.factor * (*g + own));
            let of_shared = &slopes.negative[at * columns..];
            let first_pair = gains.len();
            gains.extend(queries.slots.gains.of(query).map(|(slot, _)| {
                let places = self.places(slot).iter();
                places.map(|place| f64::from(of_shared[*place as usize])).sum::<f64>()
            }));
            queries.slots.gains.add_slopes(query, &list, &mut gains[first_pair..]);
        }
        QueryGradients { loss: slopes.loss, vectors, terms, slopes: slopes.negative, gains }
    }

    /// `[count, candidates]`: the shared ones first.
    fn scores(&self, queries: &Queries, first: usize, count: usize) -> Vec<f32> {
        let (level, wide, columns) = (queries.level, queries.rows.wide(), queries.candidates());
        let shared = queries.slots.shared.len();
        let mut scores = vec![0.0; count * columns];
        let left = Matrix { at: queries.vectors.start_of(first), row: wide, column: 1 };
        for (panel, across) in self.across.chunks_exact(PANEL * wide).enumerate() {
            let right = Matrix { at: across.as_ptr(), row: PANEL, column: 1 };
            let shape = [count, PANEL, wide];
            let from = panel * PANEL;
            if from + PANEL <= shared {
                let to = scores[from..].as_mut_ptr();
                // SAFETY: vectors `[count, wide]`, across `[wide, PANEL]`, scores `[count, columns]`
                // from column `from` on, which has PANEL more.
                unsafe { gemm(level, shape, left, right, to, columns, false) };
                continue;
            }
            let mut last = [0.0; QUERIES * PANEL];
            // SAFETY: as above, to `[count, PANEL]`.
            unsafe { gemm(level, shape, left, right, last.as_mut_ptr(), PANEL, false) };
            for (to, from_row) in scores.chunks_exact_mut(columns).zip(last.chunks_exact(PANEL)) {
                to[from..shared].copy_from_slice(&from_row[..shared - from]);
            }
        }
        for (at, row) in scores.chunks_exact_mut(columns).enumerate() {
            let query = first + at;
            queries.slots.gains.of(query).for_each(|(slot, gain)| {
                self.places(slot).iter().for_each(|place| row[*place as usize] += gain);
            });
            queries.rejected(query).for_each(|slot| {
                let places = self.places(slot).iter();
                places.for_each(|place| row[*place as usize] = f32::NEG_INFINITY);
            });
            queries.own_scores(query, &mut row[shared..]);
        }
        scores
    }

    /// Where the row of a slot stands in `in_order`.
    fn places(&self, slot: u32) -> &[u32] {
        let [from, end] = [0, 1].map(|at| self.starts[slot as usize + at] as usize);
        &self.places[from..end]
    }

    /// Adds what `parts`, those of the queries from `first` on, say of the shared candidates.
    fn add(&mut self, queries: &Queries, first: usize, parts: &[QueryGradients]) {
        let (level, wide, columns) = (queries.level, queries.rows.wide(), queries.candidates());
        self.gradient.chunks_mut(PANEL).enumerate().for_each(|(task, to)| {
            for (at, part) in parts.iter().enumerate() {
                let slopes = part.slopes[task * PANEL..].as_ptr();
                let count = part.slopes.len() / columns;
                let vectors = queries.vectors.start_of(first + at * QUERIES);
                let left = Matrix { at: slopes, row: 1, column: columns };
                let right = Matrix { at: vectors, row: wide, column: 1 };
                let shape = [to.len() / wide, wide, count];
                // SAFETY: slopesᵀ `[up to PANEL, count]`, vectors `[count, wide]`, to
                // `[up to PANEL, wide]`.
                unsafe { gemm(level, shape, left, right, to.as_mut_ptr(), wide, true) };
            }
        });
    }
}
