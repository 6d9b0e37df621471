//! The head in loops over host memory, written by hand, for candidates of which few enter the
//! loss: scores once and in tiles, gradients through the chosen candidates only.
//!
//! With s = γ·h·r for a position's vector h and a candidate's row r, and ∂s of the positive and
//! the chosen k from the loss's own composition of tensor ops over `[positions, k]`,
//!
//! ∂h = γ·Σ ∂s·r,  ∂r = Σ ∂s·γ·h.
//!
//! Work is cut by the batch's sizes alone: results do not depend on the number of threads.

use tch::Tensor;

use super::best::Scored;
use super::head::{Head, Outcome};
use super::rows::{Wide, dot, host_floats, host_ids};
use super::search::{Rejected, Search};
use crate::config::Reject;
use crate::sampling::SessionBatch;
use crate::simd::{self, Level};
use crate::tower::TwoTower;

/// What is kept from step to step.
pub struct Fast {
    level: Level,
    /// Candidates that enter the loss of a position.
    k: usize,
    /// `[scored, dim]`: rows as scores are taken with them.
    rows: Wide,
    /// `[positions, dim]`: γ·h
    vectors: Wide,
    of_vectors: Wide,
    of_rows: Wide,
}

/// The positive and the chosen candidates of every position.
struct Chosen {
    positive: Vec<f32>,
    /// `[positions, k]`, −∞ where a position has fewer.
    negative: Vec<f32>,
    /// `[positions, k]`
    slots: Vec<u32>,
}

/// For each row with a gradient, the positions that it comes from.
struct ByRow {
    /// Slots of the rows, ascending.
    slots: Vec<u32>,
    /// Of row `r` the terms are `terms[starts[r]..starts[r + 1]]`: (position, ∂s).
    starts: Vec<u32>,
    terms: Vec<(u32, f32)>,
}

impl Fast {
    /// For `k` candidates in the loss of each position.
    pub fn new(k: usize) -> Self {
        Self {
            level: simd::level(),
            k,
            rows: Wide::default(),
            vectors: Wide::default(),
            of_vectors: Wide::default(),
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
        let table = model.scored().weights();
        let dim = table.size()[1] as usize;
        let scored = host_ids(&batch.scored);
        let targets = host_ids(&batch.targets);
        self.rows.gather(&table, scored);
        let inverse = model.normalizes().then(|| self.rows.normalize(self.level));
        self.vectors.copy(&vectors.contiguous(), head.factor() as f32);
        let chosen = self.choose(head, batch, targets);
        let (loss, slopes) = self.slopes(head, batch, &chosen);
        let k = self.k;
        self.of_vectors.fit(targets.len(), dim);
        self.of_vectors.combine(self.level, &self.rows, head.factor() as f32, |at, terms| {
            terms.push((targets[at] as u32, slopes.positive[at]));
            let own = at * k..(at + 1) * k;
            let all = chosen.slots[own.clone()].iter().zip(&slopes.negative[own]);
            terms.extend(all.filter(|(_, slope)| **slope != 0.0).map(|(slot, s)| (*slot, *s)));
        });
        let by_row = ByRow::new(scored.len(), targets, &chosen, &slopes, k);
        self.of_rows.fit(by_row.slots.len(), dim);
        self.of_rows.combine(self.level, &self.vectors, 1.0, |row, terms| {
            let own = by_row.starts[row] as usize..by_row.starts[row + 1] as usize;
            terms.extend_from_slice(&by_row.terms[own]);
        });
        if let Some(inverse) = inverse {
            self.of_rows.through_unit(self.level, &self.rows, &by_row.slots, &inverse);
        }
        let touched: Vec<i64> = by_row.slots.iter().map(|&slot| scored[slot as usize]).collect();
        Outcome {
            loss,
            vectors: self.of_vectors.to_tensor(),
            scored: self.of_rows.to_tensor(),
            touched: Some(Tensor::from_slice(&touched)),
        }
    }

    fn choose(&self, head: &Head, batch: &SessionBatch, targets: &[i64]) -> Chosen {
        let mut shared = vec![0u32; self.rows.len()];
        host_ids(&batch.shared).iter().for_each(|&slot| shared[slot as usize] += 1);
        let (mut own, mut starts) = (vec![], vec![0; batch.sessions() as usize + 1]);
        for pair in host_ids(&batch.own).chunks_exact(2) {
            own.push(pair[1] as u32);
            starts[pair[0] as usize + 1] = own.len();
        }
        let rejected = match head.reject() {
            Reject::None => Rejected::Nothing,
            Reject::Label => Rejected::Target(targets),
            Reject::Session => Rejected::OfSession { slots: &own, starts: &starts },
        };
        let search = Search {
            level: self.level,
            rows: &self.rows,
            shared: &shared,
            session: host_ids(&batch.session),
            of_session: host_ids(&batch.of_session),
            of_position: host_ids(&batch.of_position),
            rejected,
            k: self.k,
        };
        let found = search.run(&self.vectors);
        let mut chosen = Chosen {
            positive: Vec::with_capacity(targets.len()),
            negative: Vec::with_capacity(targets.len() * self.k),
            slots: Vec::with_capacity(targets.len() * self.k),
        };
        for (at, (list, &target)) in found.iter().zip(targets).enumerate() {
            let (a, b) = (self.vectors.row(at), self.rows.row(target as usize));
            // SAFETY: the level is the machine's, rows are as wide as each other.
            chosen.positive.push(unsafe { dot(self.level, a, b) });
            let nobody = Scored { score: f32::NEG_INFINITY, slot: target as u32 };
            for scored in list.iter().chain(std::iter::repeat(&nobody)).take(self.k) {
                chosen.negative.push(scored.score);
                chosen.slots.push(scored.slot);
            }
        }
        chosen
    }

    /// The loss, and its slopes in the positives' and the chosen candidates' scores.
    fn slopes(&self, head: &Head, batch: &SessionBatch, chosen: &Chosen) -> (Tensor, Slopes) {
        let size = [chosen.positive.len() as i64, self.k as i64];
        let positive = Tensor::from_slice(&chosen.positive).set_requires_grad(true);
        let negative = Tensor::from_slice(&chosen.negative).view(size).set_requires_grad(true);
        let slots = || {
            let slots: Vec<i64> = chosen.slots.iter().map(|&slot| i64::from(slot)).collect();
            Tensor::from_slice(&slots).view(size)
        };
        let loss = head.objective(batch, &positive, &negative, slots);
        let gradients = Tensor::run_backward(&[&loss], &[&positive, &negative], false, false);
        let [positive, negative] =
            [0, 1].map(|at| host_floats(&gradients[at].contiguous()).to_vec());
        (loss.detach(), Slopes { positive, negative })
    }
}

/// ∂s
struct Slopes {
    positive: Vec<f32>,
    /// `[positions, k]`
    negative: Vec<f32>,
}

impl ByRow {
    fn new(rows: usize, targets: &[i64], chosen: &Chosen, slopes: &Slopes, k: usize) -> Self {
        let positives = targets.iter().zip(&slopes.positive).enumerate();
        let positives = positives.map(|(at, (slot, slope))| (*slot as u32, at as u32, *slope));
        let negatives = chosen.slots.iter().zip(&slopes.negative).enumerate();
        let negatives = negatives.map(|(at, (slot, slope))| (*slot, (at / k) as u32, *slope));
        let all = || positives.clone().chain(negatives.clone()).filter(|term| term.2 != 0.0);
        let mut counts = vec![0u32; rows];
        all().for_each(|(slot, _, _)| counts[slot as usize] += 1);
        let (mut slots, mut starts, mut next) = (vec![], vec![0], vec![0u32; rows]);
        let mut total = 0;
        for (slot, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            next[slot] = total;
            total += count;
            slots.push(slot as u32);
            starts.push(total);
        }
        let mut terms = vec![(0, 0.0); total as usize];
        for (slot, position, slope) in all() {
            let place = &mut next[slot as usize];
            terms[*place as usize] = (position, slope);
            *place += 1;
        }
        Self { slots, starts, terms }
    }
}
