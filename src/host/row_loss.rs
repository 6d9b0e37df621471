//! The losses over host memory, a panel of scores at a time, with their gradients by hand.
//!
//! A row's loss depends on its scores through sums of kernels only, so that its gradient in the
//! score of negative j is factor·φ′(d_j) with one factor for the row. The compositions of tensor
//! ops in [`crate::loss`] are the definition; tests hold these loops against them.

use super::kernels::{self, Lane};
use super::row_weighting::RowWeighting;
use super::simd::Level;
use crate::config::{Activation, Config, Kernel, KernelShape, LogQ, LossConfig, LossKind};
use crate::loss::Weighting;

/// A loss as a function of rows.
#[derive(Clone, Debug)]
pub struct RowLoss {
    kind: LossKind,
    /// φ, or φ₂ of the Lambda method.
    kernel: Kernel,
    /// φ₁ of the Lambda method.
    rank_kernel: Kernel,
    shape: KernelShape,
    /// τ₁ and τ₂ of BSL.
    temperatures: [f32; 2],
    weighting: Option<Weighting>,
}

/// The numbers that a row's share in the mean depends on.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of the batch.
    pub batch: usize,
    /// M, accidental hits counted.
    pub negatives: usize,
    /// Those of them that are in the row, accidental hits counted: all, or the top k.
    pub in_row: usize,
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
    /// Of each row Σφ and Σφ′; for cross-entropy Σe^(score − shift), for BSL of that by τ₂.
    driven: [[Lane; 2]; ROWS],
    /// Of each row the highest scores, for losses of two passes.
    most: [Lane; ROWS],
    /// Of each row the highest score; for cross-entropy the positive's is among them.
    shifts: [f32; ROWS],
}

impl Sums {
    /// Of no panel.
    fn none() -> Self {
        let none = [[[0.0; 16]; 2]; ROWS];
        let most = [[f32::NEG_INFINITY; 16]; ROWS];
        Self { counted: none, driven: none, most, shifts: [0.0; ROWS] }
    }
}

impl RowLoss {
    /// The loss that a configuration describes; none where there are no loops for it, or where it takes
    /// something else than inner products.
    pub fn new(Config { loss: config, tower, .. }: &Config) -> Option<Self> {
        if tower.activation != Activation::None {
            return None;
        }
        let (kernel, weighting) = match *config {
            LossConfig::Cro { kernel, alpha, estimator, .. }
            | LossConfig::CroLambda { kernel, alpha, estimator, .. } => {
                (kernel, Some(Weighting { alpha, estimator }))
            }
            LossConfig::CrossEntropy { log_q: LogQ::None } => (Kernel::Exponential, None),
            LossConfig::Triplet { .. } => (Kernel::Hinge, None),
            LossConfig::Bpr => (Kernel::Softplus, None),
            LossConfig::Bsl { .. } => (Kernel::Exponential, None),
            _ => return None,
        };
        let temperatures = match *config {
            LossConfig::Bsl { positive_temperature, negative_temperature } => {
                [positive_temperature, negative_temperature].map(|temperature| temperature as f32)
            }
            _ => [1.0; 2],
        };
        Some(Self {
            kind: config.kind(),
            kernel,
            rank_kernel: config.rank_kernel().unwrap_or(kernel),
            shape: config.shape(),
            temperatures,
            weighting,
        })
    }

    /// The sums of no panel, for rows with these positives.
    pub fn sums(&self, positives: &[f32]) -> Sums {
        let mut sums = Sums::none();
        if self.kind == LossKind::CrossEntropy {
            let rows = sums.most.iter_mut().zip(positives);
            rows.for_each(|(most, positive)| *most = [*positive; 16]);
        }
        sums
    }

    /// Whether every panel must be seen by [`RowLoss::first`] before [`RowLoss::second`] can put
    /// the slopes there; else `first` does.
    pub fn two_passes(&self) -> bool {
        matches!(self.kind, LossKind::CrossEntropy | LossKind::Bsl)
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
            let parameter = kernel.parameter(self.shape) as f32;
            kernels::apply(level, kernel, panel, positives, parameter, false, sums);
        }
        let (kernel, sums) = (self.kernel, &mut sums.driven);
        let parameter = kernel.parameter(self.shape) as f32;
        kernels::apply(level, kernel, panel, positives, parameter, true, sums);
    }

    /// Puts the slopes in place of the scores of a panel.
    pub fn second(&self, level: Level, panel: &mut [f32], sums: &mut Sums) {
        let rows = panel.len() / kernels::PANEL;
        let (shifts, factor) = (&sums.shifts[..rows], 1.0 / self.temperatures[1]);
        kernels::exponentials(level, panel, shifts, factor, &mut sums.driven);
    }

    /// What row `row` comes to after all panels.
    pub fn finish(&self, sums: &Sums, row: usize, positive: f32, sizes: Sizes) -> RowOutcome {
        let whole = |lanes: &Lane| f64::from(lanes.iter().sum::<f32>());
        let [sum, slopes] = [0, 1].map(|at| whole(&sums.driven[row][at]));
        let share = 1.0 / sizes.batch as f64;
        if self.kind == LossKind::Bsl {
            return self.bsl(sum, sums.shifts[row] - positive, share);
        }
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
                let mean = 1.0 / sizes.in_row as f64;
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

    /// BSL of a row: (τ₂/τ₁)·(top/τ₂ + ln `sum`), `sum` = Σe^((d − top)/τ₂); nothing where no
    /// negative counts.
    fn bsl(&self, sum: f64, top: f32, share: f64) -> RowOutcome {
        if sum == 0.0 {
            return RowOutcome::default();
        }
        let [own, rivals] = self.temperatures.map(f64::from);
        RowOutcome {
            loss: share * (f64::from(top) + rivals * sum.ln()) / own,
            factor: (share / (own * sum)) as f32,
            slopes: sum as f32,
        }
    }

    /// Whether the pass of φ₂ tells Σφ₁ as well: the sigmoid is the softplus's slope, so that the
    /// published pair of the Lambda method needs no pass of its own for the rank.
    fn one_sum(&self) -> bool {
        self.kind != LossKind::CroLambda
            || self.rank_kernel == self.kernel
            || (self.rank_kernel, self.kernel) == (Kernel::Sigmoid, Kernel::Softplus)
    }
}
