//! Losses over the scores of one positive and many negatives, as compositions of tensor ops.
//!
//! These compositions are the definition of every loss; they run on any device and in float32 and
//! float64 alike. Some have kernels of their own for a GPU (`rows.rs`).

mod binary;
mod bpr_max;
mod bsl;
mod cro;
mod cross_entropy;
mod kernel;
mod pairwise;
mod rows;
mod sl_at_k;
mod weighting;

use tch::Tensor;

use crate::config::LossConfig;

pub use binary::{Bce, Gbce};
pub use bpr_max::BprMax;
pub use bsl::Bsl;
pub use cro::{Cro, CroLambda};
pub use cross_entropy::CrossEntropy;
pub(crate) use kernel::{EXPONENTIAL_KNEE, PSL_FLOOR};
pub use pairwise::{Bpr, Triplet};
pub use rows::{LossRows, Slopes};
pub use sl_at_k::SlAtK;
pub use weighting::Weighting;
pub(crate) use weighting::norm;

/// The scores of a batch.
///
/// With top-k, `negative` holds only the k best of the M candidates that were drawn, and a sum of
/// kernels over it stands for the sum over all M: each candidate that is left out has a gap no
/// larger than the smallest kept, so it would add φ(d_k) at most. For the rank itself (φ the unit
/// step) nothing is lost as long as fewer than k candidates beat the positive, so that N/M, not
/// N/k, is the honest factor; beyond that the estimate stays at N·k/M.
pub struct Scores {
    /// `[batch]`: the positive's score, for example γ·cos(user, positive).
    pub positive: Tensor,
    /// `[batch, negatives]`: the negatives' scores. A negative that does not count (an accidental
    /// hit) has −∞.
    pub negative: Tensor,
    /// N: the size of the catalogue.
    pub catalogue: f64,
    /// M: the candidates that were drawn for each positive.
    pub drawn: f64,
    /// `[batch, negatives]`: the log of how often a negative's item is expected among the M
    /// candidates; for the log-q correction.
    pub log_counts: Option<Tensor>,
}

impl Scores {
    /// Scores of all candidates that were drawn.
    pub fn all(positive: Tensor, negative: Tensor, catalogue: f64) -> Self {
        let drawn = negative.size()[1] as f64;
        Self { positive, negative, catalogue, drawn, log_counts: None }
    }

    /// d = s⁻ − s⁺, `[batch, negatives]`: above 0 where the negative is ranked above the positive.
    pub fn gaps(&self) -> Tensor {
        &self.negative - self.positive.unsqueeze(1)
    }

    /// N/M: what a drawn negative stands for in the catalogue.
    fn per_negative(&self) -> f64 {
        self.catalogue / self.drawn
    }
}

/// A training objective.
pub trait Loss: Send + Sync {
    /// The mean over the batch, a scalar that carries the gradient.
    fn loss(&self, scores: &Scores) -> Tensor;
}

/// The loss that a configuration describes.
pub fn build(config: &LossConfig) -> Box<dyn Loss> {
    match *config {
        LossConfig::Cro { kernel, shape, alpha, estimator } => {
            Box::new(Cro { kernel, shape, weighting: Weighting { alpha, estimator } })
        }
        LossConfig::CroLambda { rank_kernel, kernel, shape, alpha, estimator } => {
            let weighting = Weighting { alpha, estimator };
            Box::new(CroLambda { rank_kernel, kernel, shape, weighting })
        }
        LossConfig::CrossEntropy { log_q } => Box::new(CrossEntropy { log_q }),
        LossConfig::Triplet { margin } => Box::new(Triplet { margin }),
        LossConfig::Bpr => Box::new(Bpr),
        LossConfig::Bce => Box::new(Bce),
        LossConfig::Gbce { calibration } => Box::new(Gbce { calibration }),
        LossConfig::BprMax { penalty } => Box::new(BprMax { penalty }),
        LossConfig::Bsl { positive_temperature, negative_temperature } => {
            Box::new(Bsl { positive_temperature, negative_temperature })
        }
        LossConfig::SlAtK { at, weight_temperature } => {
            Box::new(SlAtK { at: f64::from(at), weight_temperature })
        }
    }
}

#[cfg(test)]
mod rival_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
