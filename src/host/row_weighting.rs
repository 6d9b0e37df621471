//! The weighting of ranks as functions of one row's kernel sum, with their slopes.

use crate::config::Estimator;
use crate::loss::{Weighting, norm};

/// [`Weighting`] as functions of one row's Σφ.
#[derive(Clone, Copy)]
pub struct RowWeighting {
    weighting: Weighting,
    /// N/M
    per_negative: f64,
    /// N
    catalogue: f64,
}

impl RowWeighting {
    /// `weighting` for N/M and N.
    pub fn new(weighting: Weighting, per_negative: f64, catalogue: f64) -> Self {
        Self { weighting, per_negative, catalogue }
    }

    /// [`Weighting::rank`] and its slope in Σφ.
    pub fn rank(&self, sum: f64) -> (f64, f64) {
        match self.weighting.estimator {
            Estimator::ScaledRank => (1.0 + sum, 1.0),
            Estimator::ScaledSum => (self.per_negative * sum, self.per_negative),
        }
    }

    /// [`Weighting::value`] and its slope in Σφ.
    pub fn value(&self, sum: f64) -> (f64, f64) {
        let (base, rise) = self.base(sum);
        let (e, log) = (1.0 - self.weighting.alpha, base.ln());
        if e == 0.0 {
            return (log, rise / base);
        }
        let (log, norm) = (log + self.log_factor(), norm(e, self.catalogue));
        ((e * log).exp_m1() * norm, e * (e * log).exp() * norm * rise / base)
    }

    /// [`Weighting::slope`].
    pub fn slope(&self, sum: f64) -> f64 {
        let (base, _) = self.base(sum);
        let (alpha, e) = (self.weighting.alpha, 1.0 - self.weighting.alpha);
        if e == 0.0 {
            return 1.0 / base;
        }
        (-alpha * (base.ln() + self.log_factor())).exp() * e * norm(e, self.catalogue)
    }

    /// What the power is taken of, but for the constant factor; and its slope in Σφ.
    fn base(&self, sum: f64) -> (f64, f64) {
        match self.weighting.estimator {
            Estimator::ScaledRank => (1.0 + sum, 1.0),
            Estimator::ScaledSum => (1.0 + self.per_negative * sum, self.per_negative),
        }
    }

    fn log_factor(&self) -> f64 {
        match self.weighting.estimator {
            Estimator::ScaledRank => self.per_negative.ln(),
            Estimator::ScaledSum => 0.0,
        }
    }
}
