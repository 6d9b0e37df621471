//! W_α, the weighting of ranks: how much the loss cares for each N of Recall@N.
//!
//! W_α(x) = ((1+x)^(1−α) − 1) / ((1+N)^(1−α) − 1), and ln(1+x)/ln(1+N) at α = 1; everything here
//! is times the constant ln(1+N), which makes α = 1 plain ln. Powers are taken as
//! expm1((1−α)·ln x), which keeps all digits as α → 1.

use tch::Tensor;

use super::Scores;
use crate::config::Estimator;

/// The weighting and the rank estimate that it is applied to.
#[derive(Clone, Copy, Debug)]
pub struct Weighting {
    /// α ≥ 0
    pub alpha: f64,
    pub estimator: Estimator,
}

impl Weighting {
    /// The rank estimate from Σφ, `[batch]`: R = 1 + Σφ (`scaled-rank`) or r = (N/M)·Σφ
    /// (`scaled-sum`).
    pub fn rank(&self, kernel_sum: &Tensor, scores: &Scores) -> Tensor {
        match self.estimator {
            Estimator::ScaledRank => kernel_sum + 1.0,
            Estimator::ScaledSum => kernel_sum * scores.per_negative(),
        }
    }

    /// ln(1+N)·W_α at a rank estimate of [`Weighting::rank`], `[batch]`.
    ///
    /// `scaled-rank`: ln R at α = 1, else ln(1+N)·((R·N/M)^(1−α) − 1) / ((1+N)^(1−α) − 1);
    /// `scaled-sum`: the same of 1 + r without the N/M.
    pub fn value(&self, rank: &Tensor, scores: &Scores) -> Tensor {
        let log_rank = self.log_rank(rank);
        let e = 1.0 - self.alpha;
        if e == 0.0 {
            return log_rank;
        }
        (((log_rank + self.log_factor(scores)) * e).expm1()) * norm(e, scores.catalogue)
    }

    /// λ: the slope of [`Weighting::value`] in the rank, `[batch]`, as the published code has it
    /// (`scaled-rank` leaves out the constant N/M when α ≠ 1).
    ///
    /// `scaled-rank`: 1/R at α = 1, else (1−α)·ln(1+N)·(R·N/M)^−α / ((1+N)^(1−α) − 1);
    /// `scaled-sum`: the same of 1 + r without the N/M.
    pub fn slope(&self, rank: &Tensor, scores: &Scores) -> Tensor {
        let log_rank = self.log_rank(rank);
        let e = 1.0 - self.alpha;
        if e == 0.0 {
            return (-log_rank).exp();
        }
        ((log_rank + self.log_factor(scores)) * -self.alpha).exp() * (e * norm(e, scores.catalogue))
    }

    fn log_rank(&self, rank: &Tensor) -> Tensor {
        match self.estimator {
            Estimator::ScaledRank => rank.log(),
            Estimator::ScaledSum => rank.log1p(),
        }
    }

    pub(super) fn log_factor(&self, scores: &Scores) -> f64 {
        match self.estimator {
            Estimator::ScaledRank => scores.per_negative().ln(),
            Estimator::ScaledSum => 0.0,
        }
    }
}

/// ln(1+N) / ((1+N)^e − 1)
pub(crate) fn norm(e: f64, catalogue: f64) -> f64 {
    let log_n = catalogue.ln_1p();
    log_n / (e * log_n).exp_m1()
}
