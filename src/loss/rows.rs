//! The losses over host memory, one row of scores at a time, with their gradients by hand.
//!
//! A row's loss depends on its scores through sums of kernels only, so that its gradient in the
//! score of negative j is factor·φ′(d_j) with one factor for the row. The compositions of tensor
//! ops in this module's siblings are the definition; tests hold these loops against them.

use super::{Weighting, phi};
use crate::config::{Kernel, LossConfig, LossKind};
use crate::simd::Level;

/// A loss as a function of rows.
#[derive(Clone, Debug)]
pub struct RowLoss {
    kind: LossKind,
    /// φ, or φ₂ of the Lambda method.
    kernel: Kernel,
    /// φ₁ of the Lambda method.
    rank_kernel: Kernel,
    margin: f32,
    weighting: Option<Weighting>,
}

/// The numbers that a row's share in the mean depends on.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of the batch.
    pub batch: usize,
    /// M, accidental hits counted.
    pub negatives: usize,
    /// N
    pub catalogue: f64,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowOutcome {
    /// Its share in the mean loss.
    pub loss: f64,
    /// dLoss/dscore_j = factor·slope_j
    pub factor: f32,
    /// Σ slope_j: dLoss/dpositive = −factor·slopes
    pub slopes: f32,
}

impl RowLoss {
    /// The loss that a checked configuration describes.
    pub fn new(config: &LossConfig) -> Self {
        let kernel = match config.kind {
            LossKind::Triplet => Kernel::Hinge,
            LossKind::Bpr => Kernel::Softplus,
            _ => config.kernel.unwrap_or(Kernel::Exponential),
        };
        Self {
            kind: config.kind,
            kernel,
            rank_kernel: config.rank_kernel.unwrap_or(kernel),
            margin: config.margin.unwrap_or_default() as f32,
            weighting: config.alpha.zip(config.estimator).map(Weighting::from),
        }
    }

    /// Whether there are loops for losses of this kind.
    pub fn covers(kind: LossKind) -> bool {
        use LossKind::{Bpr, Cro, CroLambda, CrossEntropy, Triplet};
        matches!(kind, Cro | CroLambda | CrossEntropy | Triplet | Bpr)
    }

    /// Takes a row of scores, −∞ where a negative does not count and behind the last one, and
    /// puts the slopes in their place.
    pub fn row(&self, level: Level, row: &mut [f32], positive: f32, sizes: Sizes) -> RowOutcome {
        let share = 1.0 / sizes.batch as f64;
        if self.kind == LossKind::CrossEntropy {
            // ln(1 + Σe^d) = top + ln(e^−top + Σe^(d−top))
            let [top, sum] = phi::exponentials(level, row, positive).map(f64::from);
            let whole = (-top).exp() + sum;
            return RowOutcome {
                loss: share * (top + whole.ln()),
                factor: (share / whole) as f32,
                slopes: sum as f32,
            };
        }
        // The sigmoid is the softplus's slope: the published pair of the Lambda method needs one
        // pass.
        let lambda = self.kind == LossKind::CroLambda;
        let one_pass = !lambda
            || self.rank_kernel == self.kernel
            || (self.rank_kernel, self.kernel) == (Kernel::Sigmoid, Kernel::Softplus);
        let counted =
            (!one_pass).then(|| phi::count(level, self.rank_kernel, row, positive, self.margin));
        let [sum, slopes] = phi::drive(level, self.kernel, row, positive, self.margin);
        let counted = counted.unwrap_or(if self.rank_kernel == self.kernel { sum } else { slopes });
        let (loss, factor) = match &self.weighting {
            None => {
                let mean = 1.0 / sizes.negatives as f64;
                (f64::from(sum) * mean, mean)
            }
            Some(weighting) => {
                let per_negative = sizes.catalogue / sizes.negatives as f64;
                let weighting = weighting.of_row(per_negative, sizes.catalogue);
                match lambda {
                    false => weighting.value(f64::from(sum)),
                    true => {
                        let slope = weighting.slope(f64::from(counted));
                        let (rank, rise) = weighting.rank(f64::from(sum));
                        (slope * rank, slope * rise)
                    }
                }
            }
        };
        RowOutcome { loss: share * loss, factor: (share * factor) as f32, slopes }
    }
}
