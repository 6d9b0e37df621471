//! The losses over host memory, a panel of scores at a time, with their gradients by hand.
//!
//! A row's loss depends on its scores through sums of kernels only, so that its gradient in the
//! score of negative j is factor·φ′(d_j) with one factor for the row. The compositions of tensor
//! ops in [`crate::loss`] are the definition; tests hold these loops against them.

use super::kernels::{self, Lane};
use super::row_weighting::RowWeighting;
use super::simd::Level;
use crate::config::{Kernel, LogQ, LossConfig, LossKind};
use crate::loss::Weighting;

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

/// Rows of a panel at most.
pub const ROWS: usize = 16;

/// What the panels of some rows have come to so far.
#[derive(Clone, Copy)]
pub struct Sums {
    /// Of each row Σφ₁.
    counted: [[Lane; 2]; ROWS],
    /// Of each row Σφ and Σφ′; for cross-entropy Σe^(score − shift).
    driven: [[Lane; 2]; ROWS],
    /// Of each row the highest scores, for cross-entropy.
    most: [Lane; ROWS],
    /// Of each row the highest score, the positive's among them.
    shifts: [f32; ROWS],
}

impl Sums {
    /// Of no panel, for rows with these positives.
    pub fn new(positives: &[f32]) -> Self {
        let mut most = [[0.0; 16]; ROWS];
        most.iter_mut().zip(positives).for_each(|(most, positive)| *most = [*positive; 16]);
        let none = [[[0.0; 16]; 2]; ROWS];
        Self { counted: none, driven: none, most, shifts: [0.0; ROWS] }
    }
}

impl RowLoss {
    /// The loss that a configuration describes; none where there are no loops for it.
    pub fn new(config: &LossConfig) -> Option<Self> {
        let (kernel, weighting) = match *config {
            LossConfig::Cro { kernel, alpha, estimator, .. }
            | LossConfig::CroLambda { kernel, alpha, estimator, .. } => {
                (kernel, Some(Weighting { alpha, estimator }))
            }
            LossConfig::CrossEntropy { log_q: LogQ::None } => (Kernel::Exponential, None),
            LossConfig::Triplet { .. } => (Kernel::Hinge, None),
            LossConfig::Bpr => (Kernel::Softplus, None),
            _ => return None,
        };
        Some(Self {
            kind: config.kind(),
            kernel,
            rank_kernel: config.rank_kernel().unwrap_or(kernel),
            margin: config.margin().unwrap_or_default() as f32,
            weighting,
        })
    }

    /// Whether every panel must be seen by [`RowLoss::first`] before [`RowLoss::second`] can put
    /// the slopes there; else `first` does.
    pub fn two_passes(&self) -> bool {
        self.kind == LossKind::CrossEntropy
    }

    /// Takes a panel of scores `[rows, PANEL]`, −∞ where a negative does not count and behind the
    /// last one.
    pub fn first(&self, level: Level, panel: &mut [f32], positives: &[f32], sums: &mut Sums) {
        if self.two_passes() {
            kernels::raise(level, panel, &mut sums.most);
            let rows = sums.shifts.iter_mut().zip(&sums.most).take(positives.len());
            rows.for_each(|(shift, most)| *shift = most.iter().copied().fold(f32::MIN, f32::max));
            return;
        }
        if !self.one_sum() {
            let (kernel, sums) = (self.rank_kernel, &mut sums.counted);
            kernels::apply(level, kernel, panel, positives, self.margin, false, sums);
        }
        let (kernel, sums) = (self.kernel, &mut sums.driven);
        kernels::apply(level, kernel, panel, positives, self.margin, true, sums);
    }

    /// Puts the slopes in place of the scores of a panel.
    pub fn second(&self, level: Level, panel: &mut [f32], sums: &mut Sums) {
        let rows = panel.len() / kernels::PANEL;
        kernels::exponentials(level, panel, &sums.shifts[..rows], &mut sums.driven);
    }

    /// What row `row` comes to after all panels.
    pub fn finish(&self, sums: &Sums, row: usize, positive: f32, sizes: Sizes) -> RowOutcome {
        let whole = |lanes: &Lane| f64::from(lanes.iter().sum::<f32>());
        let [sum, slopes] = [0, 1].map(|at| whole(&sums.driven[row][at]));
        let share = 1.0 / sizes.batch as f64;
        if self.two_passes() {
            // ln(1 + Σe^d) = top + ln(e^−top + Σe^(d−top))
            let top = f64::from(sums.shifts[row] - positive);
            let all = (-top).exp() + sum;
            return RowOutcome {
                loss: share * (top + all.ln()),
                factor: (share / all) as f32,
                slopes: sum as f32,
            };
        }
        let (loss, factor) = match &self.weighting {
            None => {
                let mean = 1.0 / sizes.negatives as f64;
                (sum * mean, mean)
            }
            Some(weighting) => {
                let per_negative = sizes.catalogue / sizes.negatives as f64;
                let weighting = RowWeighting::new(*weighting, per_negative, sizes.catalogue);
                match self.kind == LossKind::CroLambda {
                    false => weighting.value(sum),
                    true => {
                        let counted = match self.one_sum() {
                            false => whole(&sums.counted[row][0]),
                            true if self.rank_kernel == self.kernel => sum,
                            true => slopes,
                        };
                        let slope = weighting.slope(counted);
                        let (rank, rise) = weighting.rank(sum);
                        (slope * rank, slope * rise)
                    }
                }
            }
        };
        RowOutcome { loss: share * loss, factor: (share * factor) as f32, slopes: slopes as f32 }
    }

    /// Whether the pass of φ₂ tells Σφ₁ as well: the sigmoid is the softplus's slope, so that the
    /// published pair of the Lambda method needs no pass of its own for the rank.
    fn one_sum(&self) -> bool {
        self.kind != LossKind::CroLambda
            || self.rank_kernel == self.kernel
            || (self.rank_kernel, self.kernel) == (Kernel::Sigmoid, Kernel::Softplus)
    }
}
