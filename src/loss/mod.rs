//! Losses over the scores of one positive and many negatives, as compositions of tensor ops.
//!
//! These compositions are the definition of every loss; they run on any device and in float32 and
//! float64 alike.

mod cro;
mod cross_entropy;
mod kernel;
mod pairwise;
mod phi;
mod rows;
mod weighting;

use tch::Tensor;

use crate::config::{LossConfig, LossKind};

pub use cro::{Cro, CroLambda};
pub use cross_entropy::CrossEntropy;
pub use pairwise::{Bpr, Triplet};
pub use phi::PANEL;
pub use rows::{ROWS, RowLoss, RowOutcome, Sizes, Sums};
pub use weighting::Weighting;

/// The scores of a batch.
pub struct Scores {
    /// `[batch]`: γ·cos(user, positive).
    pub positive: Tensor,
    /// `[batch, negatives]`: γ·cos(user, negative). A negative that does not count (an accidental
    /// hit) has −∞.
    pub negative: Tensor,
    /// N: the size of the catalogue.
    pub catalogue: f64,
}

impl Scores {
    /// d = s⁻ − s⁺, `[batch, negatives]`: above 0 where the negative is ranked above the positive.
    pub fn gaps(&self) -> Tensor {
        &self.negative - self.positive.unsqueeze(1)
    }

    /// N/M: what a drawn negative stands for in the catalogue.
    fn per_negative(&self) -> f64 {
        self.catalogue / self.negative.size()[1] as f64
    }
}

/// A training objective.
pub trait Loss {
    /// The mean over the batch, a scalar that carries the gradient.
    fn loss(&self, scores: &Scores) -> Tensor;
}

/// The loss that a checked configuration describes.
pub fn build(config: &LossConfig) -> Box<dyn Loss> {
    let margin = config.margin.unwrap_or_default();
    let weighting = || Weighting {
        alpha: config.alpha.expect("a checked configuration has loss.alpha"),
        estimator: config.estimator.expect("a checked configuration has loss.estimator"),
    };
    let kernel = || config.kernel.expect("a checked configuration has loss.kernel");
    match config.kind {
        LossKind::Cro => Box::new(Cro { kernel: kernel(), margin, weighting: weighting() }),
        LossKind::CroLambda => Box::new(CroLambda {
            rank_kernel: config.rank_kernel.expect("a checked configuration has loss.rank_kernel"),
            kernel: kernel(),
            margin,
            weighting: weighting(),
        }),
        LossKind::CrossEntropy => Box::new(CrossEntropy),
        LossKind::Triplet => Box::new(Triplet { margin }),
        LossKind::Bpr => Box::new(Bpr),
    }
}

#[cfg(test)]
mod tests;
