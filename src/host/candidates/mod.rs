//! From the queries' vectors to the loss and its gradients, in loops over host memory: scores once
//! and in tiles, gradients through the candidates that enter the loss only.
//!
//! With s = γ·h·r for a query's vector h and a candidate's row r, and ∂s from the loss's loops or its
//! own composition of tensor ops, over some queries at a time,
//!
//! ∂h = γ·Σ ∂s·r,  ∂r = Σ ∂s·γ·h.
//!
//! Some pairs of query and candidate gain a number besides, whose slope is the sum of their ∂s.

mod all;
mod by_row;
mod gains;
mod queries;
mod row_scores;
mod top;

use tch::Tensor;

use self::all::AllCandidates;
use self::by_row::ByRow;
use self::top::TopCandidates;
use super::padded::PaddedRows;
use super::simd::{self, Level};

use self::queries::Queries;

pub use self::gains::Gains;
pub use self::queries::{QUERIES, ScoreLoss, Slopes, Slots};
pub use self::row_scores::RowScores;

/// Scores candidates; keeps its memory from step to step.
pub struct CandidateLoops {
    level: Level,
    /// Candidates that enter the loss of a query; not set: all.
    top_k: Option<usize>,
    all: AllCandidates,
    /// `[scored, dim]`: rows as scores are taken with them.
    rows: PaddedRows,
    /// `[queries, dim]`: γ·h
    vectors: PaddedRows,
    of_rows: PaddedRows,
}

/// What scores are taken with.
pub struct ScoredRows<'a> {
    /// `[items + 1, dim]`
    pub table: &'a [f32],
    pub dim: usize,
    /// Ids of the rows that are scored, ascending.
    pub ids: &'a [i64],
    /// γ
    pub factor: f32,
    /// The ε of unit length, where rows are brought to it.
    pub unit: Option<f32>,
}

/// The loss of a batch and its gradients.
pub struct CandidateGradients {
    pub loss: f64,
    /// `[queries, dim]`: of the queries' vectors.
    pub vectors: Tensor,
    /// `[touched, dim]`: of the rows of `ids`.
    pub rows: Tensor,
    /// Ids of the rows with a gradient; one may stand twice.
    pub ids: Vec<i64>,
    /// `[pairs]`: of what the pairs of [`Slots::gains`] gain.
    pub gains: Vec<f64>,
}

impl CandidateLoops {
    /// For the `top_k` best candidates of each query in the loss, or for all.
    pub fn new(top_k: Option<usize>) -> Self {
        Self {
            level: simd::level(),
            top_k,
            all: AllCandidates::default(),
            rows: PaddedRows::default(),
            vectors: PaddedRows::default(),
            of_rows: PaddedRows::default(),
        }
    }

    /// The same on another instruction set of this machine, in groups of at most so many slopes.
    #[cfg(test)]
    pub fn at(level: Level, top_k: Option<usize>, group: Option<usize>) -> Self {
        let mut own = Self { level, ..Self::new(top_k) };
        own.all.group = group.unwrap_or(own.all.group);
        own
    }

    /// Loss and gradients at `vectors` `[queries, dim]`; `log_counts` `[scored]`.
    pub fn run(
        &mut self,
        scored: &ScoredRows,
        vectors: &[f32],
        slots: Slots,
        log_counts: Option<&[f32]>,
        loss: &dyn ScoreLoss,
    ) -> CandidateGradients {
        let level = self.level;
        self.rows.gather(scored.table, scored.dim, scored.ids);
        let inverse = scored.unit.map(|epsilon| self.rows.normalize(level, epsilon));
        self.vectors.copy(vectors, scored.dim, scored.factor);
        let queries =
            Queries::new(level, scored.factor, &self.rows, &self.vectors, slots, log_counts);
        let parts = match self.top_k {
            Some(k) => TopCandidates::new(&queries, k).gradients(loss),
            None => self.all.gradients(&queries, loss),
        };
        let by_row = ByRow::new(scored.ids.len(), parts.iter().flat_map(|part| &part.terms));
        self.of_rows.fit(by_row.slots.len(), scored.dim);
        self.of_rows.combine(level, &self.vectors, |row| by_row.of(row));
        if let Some(inverse) = &inverse {
            self.of_rows.through_unit(level, &self.rows, &by_row.slots, inverse);
        }
        let mut touched = by_row.slots;
        let mut of_scored = vec![self.of_rows.to_tensor()];
        if self.top_k.is_none() {
            let shared: Vec<u32> = slots.shared.iter().map(|&slot| slot as u32).collect();
            if let Some(inverse) = &inverse {
                self.all.gradient.through_unit(level, &self.rows, &shared, inverse);
            }
            of_scored.push(self.all.gradient.to_tensor());
            touched.extend(shared);
        }
        let of_vectors: Vec<f32> =
            parts.iter().flat_map(|part| part.vectors.iter()).copied().collect();
        let [wide, dim] = [self.rows.wide(), scored.dim].map(|length| length as i64);
        let of_vectors = Tensor::from_slice(&of_vectors).view([-1, wide]).narrow(1, 0, dim);
        CandidateGradients {
            loss: parts.iter().map(|part| part.loss).sum(),
            vectors: of_vectors.contiguous(),
            rows: Tensor::cat(&of_scored, 0),
            gains: parts.iter().flat_map(|part| &part.gains).copied().collect(),
            ids: touched.iter().map(|&slot| scored.ids[slot as usize]).collect(),
        }
    }
}
