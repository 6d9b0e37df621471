//! A batch's queries and their candidates, as the loops read them.

use rayon::prelude::*;

use super::by_row::Term;
use super::gains::Gains;
use crate::config::Reject;
use crate::host::padded::{PaddedRows, dot};
use crate::host::simd::{Aligned, Level};

/// Queries a task.
pub const QUERIES: usize = 64;

/// Targets and candidates by *slot*, the row of an item in the list of scored ones.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    /// `[queries]`
    pub targets: &'a [i64],
    /// `[queries]`: the history of each.
    pub history: &'a [i64],
    /// Candidates of every query.
    pub shared: &'a [i64],
    /// Those of each history's queries, and of each query, and how many these are for each.
    pub of_history: &'a [i64],
    pub of_query: &'a [i64],
    pub each: [usize; 2],
    /// `[2·pairs]`: (history, slot) of the histories' own items, ascending; for
    /// [`Reject::Session`].
    pub own: &'a [i64],
    pub reject: Reject,
    /// What the scores of some pairs of query and slot gain.
    pub gains: Gains<'a>,
}

/// A loss as a function of scores over host memory.
pub trait ScoreLoss: Sync {
    /// `share` times the mean loss over some queries and its slopes, from inner products
    /// `positive` `[queries]` and `negative` `[queries, n]`, −∞ where a candidate does not count;
    /// `drawn` is M, `log_counts` `[queries, n]` is for the log-q correction; by the instructions of
    /// `level`, where there are loops.
    fn slopes(
        &self,
        level: Level,
        share: f64,
        positive: &[f32],
        negative: &[f32],
        drawn: f64,
        log_counts: Option<&[f32]>,
    ) -> Slopes;
}

/// A loss and its slopes in the scores.
pub struct Slopes {
    pub loss: f64,
    /// `[queries]`
    pub positive: Vec<f32>,
    /// `[queries, n]`; 0 where a score is −∞.
    pub negative: Vec<f32>,
}

/// All that scores are taken from.
pub struct Queries<'a> {
    pub level: Level,
    /// γ
    pub factor: f32,
    /// `[scored, dim]`, ascending by item.
    pub rows: &'a PaddedRows,
    /// `[queries, dim]`: γ·h
    pub vectors: &'a PaddedRows,
    pub slots: Slots<'a>,
    /// `[scored]`: for the log-q correction.
    pub log_counts: Option<&'a [f32]>,
    /// Own items of history `h` are `own[starts[h]..starts[h + 1]]`, ascending.
    own: Vec<u32>,
    starts: Vec<usize>,
}

/// What some queries come to.
pub struct QueryGradients {
    /// Their share in the mean loss.
    pub loss: f64,
    /// `[queries, wide]`: ∂h
    pub vectors: Aligned,
    /// ∂s of single scores.
    pub terms: Vec<Term>,
    /// `[queries, candidates]`: ∂s, where all candidates enter the loss; else empty.
    pub slopes: Vec<f32>,
    /// `[pairs of these queries]`: of what they gain.
    pub gains: Vec<f64>,
}

impl<'a> Queries<'a> {
    /// Queries with vectors γ·h against `rows`, brought to unit length where they are to be.
    pub fn new(
        level: Level,
        factor: f32,
        rows: &'a PaddedRows,
        vectors: &'a PaddedRows,
        slots: Slots<'a>,
        log_counts: Option<&'a [f32]>,
    ) -> Self {
        let histories = slots.history.last().map_or(0, |last| *last as usize + 1);
        let (mut own, mut starts) = (vec![], vec![0; histories + 1]);
        for pair in slots.own.chunks_exact(2) {
            own.push(pair[1] as u32);
            starts[pair[0] as usize + 1] = own.len();
        }
        Self { level, factor, rows, vectors, slots, log_counts, own, starts }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.slots.targets.len()
    }

    /// M: the candidates of a query.
    pub fn candidates(&self) -> usize {
        self.slots.shared.len() + self.slots.each.iter().sum::<usize>()
    }

    /// [`Queries::own`]: the history's, and those of the query itself.
    fn own_parts(&self, query: usize) -> [&'a [i64]; 2] {
        let of = |slots: &'a [i64], each: usize, at: usize| &slots[at * each..][..each];
        let Slots { history, of_history, of_query, each, .. } = self.slots;
        [of(of_history, each[0], history[query] as usize), of(of_query, each[1], query)]
    }

    /// Slots of the candidates that a query does not share with the batch: its history's, then those
    /// of its own.
    pub fn own(&self, query: usize) -> impl Iterator<Item = &'a i64> + use<'a> {
        self.own_parts(query).into_iter().flatten()
    }

    /// `to` becomes [`Queries::score`] of each of [`Queries::own`].
    pub fn own_scores(&self, query: usize, to: &mut [f32]) {
        let parts = self.own_parts(query);
        let (of_history, of_query) = to.split_at_mut(parts[0].len());
        for (slots, to) in parts.into_iter().zip([of_history, of_query]) {
            self.rows.products(self.level, self.vectors.row(query), slots, to);
            for (to, &slot) in to.iter_mut().zip(slots) {
                *to = self.counted(query, slot, *to);
            }
        }
    }

    /// γ·h·r of a query and the row of a slot.
    fn product(&self, query: usize, slot: i64) -> f32 {
        // SAFETY: the level is the machine's, rows are as wide as each other.
        unsafe { dot(self.level, self.vectors.row(query), self.rows.row(slot as usize)) }
    }

    /// A product and what the pair gains.
    fn whole(&self, query: usize, slot: i64, product: f32) -> f32 {
        self.slots.gains.at(query, slot).map_or(product, |gain| product + gain)
    }

    /// The score that a product with one of a query's candidates comes to; −∞ where it is rejected.
    fn counted(&self, query: usize, slot: i64, product: f32) -> f32 {
        let (own, label) = self.rejections(query);
        let rejected = |slot: u32| label == Some(slot) || own.binary_search(&slot).is_ok();
        if rejected(slot as u32) { f32::NEG_INFINITY } else { self.whole(query, slot, product) }
    }

    /// The score of a query's target.
    pub fn positive(&self, query: usize) -> f32 {
        let slot = self.slots.targets[query];
        self.whole(query, slot, self.product(query, slot))
    }

    /// The score of one of a query's candidates; −∞ where it is rejected.
    pub fn score(&self, query: usize, slot: i64) -> f32 {
        self.counted(query, slot, self.product(query, slot))
    }

    /// Slots that are no candidates of a query: those of its history's items, ascending, and its
    /// target's.
    fn rejections(&self, query: usize) -> (&[u32], Option<u32>) {
        match self.slots.reject {
            Reject::None => (&[], None),
            Reject::Label => (&[], Some(self.slots.targets[query] as u32)),
            Reject::Session => {
                let history = self.slots.history[query] as usize;
                (&self.own[self.starts[history]..self.starts[history + 1]], None)
            }
        }
    }

    /// Slots that are no candidates of a query.
    pub fn rejected(&self, query: usize) -> impl Iterator<Item = u32> {
        let (own, label) = self.rejections(query);
        own.iter().copied().chain(label)
    }

    /// [`ScoreLoss::slopes`] for the queries from `first` on that have these `scores` `[queries, n]`.
    pub fn slopes(
        &self,
        loss: &dyn ScoreLoss,
        first: usize,
        count: usize,
        scores: &[f32],
        log_counts: Option<&[f32]>,
    ) -> Slopes {
        let positive: Vec<f32> = (first..first + count).map(|at| self.positive(at)).collect();
        let share = count as f64 / self.len() as f64;
        let drawn = self.candidates() as f64;
        loss.slopes(self.level, share, &positive, scores, drawn, log_counts)
    }
}

/// `of` every task of queries `first..end`, (from, count), in order.
pub fn in_tasks(
    first: usize,
    end: usize,
    of: impl Fn(usize, usize) -> QueryGradients + Sync,
) -> Vec<QueryGradients> {
    let tasks: Vec<usize> = (first..end).step_by(QUERIES).collect();
    tasks.par_iter().with_max_len(1).map(|&from| of(from, QUERIES.min(end - from))).collect()
}
