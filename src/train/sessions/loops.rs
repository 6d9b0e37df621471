//! The head in loops over host memory, written by hand: scores once and in tiles, gradients
//! through the candidates that enter the loss only.
//!
//! With s = γ·h·r for a position's vector h and a candidate's row r, and ∂s from the loss's own
//! composition of tensor ops, over some positions at a time,
//!
//! ∂h = γ·Σ ∂s·r,  ∂r = Σ ∂s·γ·h.
//!
//! Work is cut by the batch's sizes alone: results do not depend on the number of threads.

use rayon::prelude::*;
use tch::Tensor;

use super::by_row::{ByRow, Term};
use super::every::Every;
use super::head::{Head, Outcome};
use super::objective::{Objective, Slopes};
use super::rows::{Wide, dot, host_floats};
use super::search::Search;
use crate::config::Reject;
use crate::device::host_ids;
use crate::sampling::SessionBatch;
use crate::simd::{self, Aligned, Level};
use crate::tower::TwoTower;

/// Positions a task.
pub const POSITIONS: usize = 64;

/// What is kept from step to step.
pub struct Loops {
    pub(super) level: Level,
    /// Candidates that enter the loss of a position; not set: all.
    top_k: Option<usize>,
    pub(super) every: Every,
    /// `[scored, dim]`: rows as scores are taken with them.
    rows: Wide,
    /// `[positions, dim]`: γ·h
    vectors: Wide,
    of_rows: Wide,
}

/// A batch as the loops read it.
pub struct HostBatch<'a> {
    pub level: Level,
    /// γ
    pub factor: f32,
    /// `[scored, dim]`, ascending by item.
    pub rows: &'a Wide,
    /// `[positions, dim]`: γ·h
    pub vectors: &'a Wide,
    /// Slots.
    pub targets: &'a [i64],
    pub shared: &'a [i64],
    /// `[scored]`: for the log-q correction.
    pub log_counts: Option<Vec<f32>>,
    /// `[positions]`: the session of each.
    session: &'a [i64],
    /// Slots of each session's candidates, and of each position's.
    of_session: &'a [i64],
    of_position: &'a [i64],
    /// How many these are for each.
    each: [usize; 2],
    reject: Reject,
    /// Those of session `s` are `own[starts[s]..starts[s + 1]]`, ascending.
    own: Vec<u32>,
    starts: Vec<usize>,
}

/// What some positions come to.
pub struct Part {
    /// Their share in the mean loss.
    pub loss: f64,
    /// `[positions, wide]`: ∂h
    pub vectors: Aligned,
    /// ∂s of single scores.
    pub terms: Vec<Term>,
    /// `[positions, candidates]`: ∂s, where all candidates enter the loss; else empty.
    pub slopes: Vec<f32>,
}

impl Loops {
    /// For the `top_k` best candidates of each position in the loss, or for all.
    pub fn new(top_k: Option<usize>) -> Self {
        Self {
            level: simd::level(),
            top_k,
            every: Every::default(),
            rows: Wide::default(),
            vectors: Wide::default(),
            of_rows: Wide::default(),
        }
    }

    /// As [`Head::run`].
    pub fn run(
        &mut self,
        head: &Head,
        model: &TwoTower,
        vectors: &Tensor,
        batch: &SessionBatch,
    ) -> Outcome {
        let level = self.level;
        let table = model.scored().weights();
        let scored = host_ids(&batch.scored);
        self.rows.gather(&table, scored);
        let inverse = model.normalizes().then(|| self.rows.normalize(level));
        self.vectors.copy(&vectors.contiguous(), head.factor() as f32);
        let host = HostBatch::new(level, head, &self.rows, &self.vectors, batch);
        let parts = match self.top_k {
            Some(k) => Search::new(&host, k).parts(head.objective()),
            None => self.every.parts(&host, head.objective()),
        };
        let by_row = ByRow::new(scored.len(), parts.iter().flat_map(|part| &part.terms));
        self.of_rows.fit(by_row.slots.len(), self.rows.dim());
        self.of_rows.combine(level, &self.vectors, |row| by_row.of(row));
        if let Some(inverse) = &inverse {
            self.of_rows.through_unit(level, &self.rows, &by_row.slots, inverse);
        }
        let mut touched = by_row.slots;
        let mut of_scored = vec![self.of_rows.to_tensor()];
        if self.top_k.is_none() {
            let shared: Vec<u32> = host.shared.iter().map(|&slot| slot as u32).collect();
            if let Some(inverse) = &inverse {
                self.every.gradient.through_unit(level, &self.rows, &shared, inverse);
            }
            of_scored.push(self.every.gradient.to_tensor());
            touched.extend(shared);
        }
        let touched: Vec<i64> = touched.iter().map(|&slot| scored[slot as usize]).collect();
        let of_vectors: Vec<f32> =
            parts.iter().flat_map(|part| part.vectors.iter()).copied().collect();
        let [wide, dim] = [self.rows.wide(), self.rows.dim()].map(|length| length as i64);
        let of_vectors = Tensor::from_slice(&of_vectors).view([-1, wide]).narrow(1, 0, dim);
        Outcome {
            loss: Tensor::from(parts.iter().map(|part| part.loss).sum::<f64>() as f32),
            vectors: of_vectors.contiguous(),
            scored: Tensor::cat(&of_scored, 0),
            touched: Some(Tensor::from_slice(&touched)),
        }
    }
}

/// `of` every task of positions `first..end`, (from, count), in order.
pub fn in_tasks(first: usize, end: usize, of: impl Fn(usize, usize) -> Part + Sync) -> Vec<Part> {
    let tasks: Vec<usize> = (first..end).step_by(POSITIONS).collect();
    tasks.par_iter().with_max_len(1).map(|&from| of(from, POSITIONS.min(end - from))).collect()
}

impl<'a> HostBatch<'a> {
    fn new(
        level: Level,
        head: &Head,
        rows: &'a Wide,
        vectors: &'a Wide,
        batch: &'a SessionBatch,
    ) -> Self {
        let (mut own, mut starts) = (vec![], vec![0; batch.sessions() as usize + 1]);
        for pair in host_ids(&batch.own).chunks_exact(2) {
            own.push(pair[1] as u32);
            starts[pair[0] as usize + 1] = own.len();
        }
        let log_counts = head.log_counts(batch);
        Self {
            level,
            factor: head.factor() as f32,
            rows,
            vectors,
            targets: host_ids(&batch.targets),
            shared: host_ids(&batch.shared),
            log_counts: log_counts.map(|counts| host_floats(&counts).to_vec()),
            session: host_ids(&batch.session),
            of_session: host_ids(&batch.of_session),
            of_position: host_ids(&batch.of_position),
            each: [&batch.of_session, &batch.of_position].map(|of| of.size()[1] as usize),
            reject: head.reject(),
            own,
            starts,
        }
    }

    /// M: the candidates of a position.
    pub fn candidates(&self) -> usize {
        self.shared.len() + self.each.iter().sum::<usize>()
    }

    /// Slots of the candidates that a position does not share with the batch.
    pub fn own(&self, position: usize) -> impl Iterator<Item = &'a i64> + use<'a> {
        let of = |slots: &'a [i64], each: usize, at: usize| slots[at * each..][..each].iter();
        let of_session = of(self.of_session, self.each[0], self.session[position] as usize);
        of_session.chain(of(self.of_position, self.each[1], position))
    }

    /// The score of a position's target.
    pub fn positive(&self, position: usize) -> f32 {
        let row = self.rows.row(self.targets[position] as usize);
        // SAFETY: the level is the machine's, rows are as wide as each other.
        unsafe { dot(self.level, self.vectors.row(position), row) }
    }

    /// Slots that are no candidates of a position.
    pub fn rejected(&self, position: usize) -> impl Iterator<Item = u32> {
        let own = match self.reject {
            Reject::Session => {
                let session = self.session[position] as usize;
                &self.own[self.starts[session]..self.starts[session + 1]]
            }
            _ => &[],
        };
        let label = (self.reject == Reject::Label).then(|| self.targets[position] as u32);
        own.iter().copied().chain(label)
    }

    /// [`Objective::slopes`] for some of the batch's positions.
    pub fn slopes(
        &self,
        objective: &Objective,
        positive: &[f32],
        negative: &[f32],
        log_counts: Option<&[f32]>,
    ) -> Slopes {
        let share = positive.len() as f64 / self.targets.len() as f64;
        objective.slopes(share, positive, negative, self.candidates() as f64, log_counts)
    }
}
