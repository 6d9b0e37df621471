//! CROLoss (Tang, Bai et al., CIKM 2022): the expected loss of Recall@N over the N that the
//! weighting cares for.

use tch::{Kind, Tensor};

use super::{Loss, Scores, Weighting};
use crate::config::{Kernel, KernelShape};

/// ln(1+N)·W_α at the rank that `kernel` estimates, mean over the batch (equation 24 and the
/// published code, see [`crate::config::Estimator`]).
pub struct Cro {
    pub kernel: Kernel,
    pub shape: KernelShape,
    pub weighting: Weighting,
}

impl Loss for Cro {
    fn loss(&self, scores: &Scores) -> Tensor {
        let rank = self.weighting.rank(&self.kernel.sum(&scores.gaps(), self.shape), scores);
        self.weighting.value(&rank, scores).mean(None::<Kind>)
    }
}

/// The Lambda method (equations 21 to 23): mean of λ·R_φ₂, where λ is the weighting's slope at
/// the φ₁ rank and carries no gradient. φ₁ can then count ranks well and φ₂ pull well.
pub struct CroLambda {
    /// φ₁
    pub rank_kernel: Kernel,
    /// φ₂
    pub kernel: Kernel,
    pub shape: KernelShape,
    pub weighting: Weighting,
}

impl Loss for CroLambda {
    fn loss(&self, scores: &Scores) -> Tensor {
        let gaps = scores.gaps();
        let counted = self.rank_kernel.sum(&gaps.detach(), self.shape);
        let lambda = self.weighting.slope(&self.weighting.rank(&counted, scores), scores);
        let driven = self.weighting.rank(&self.kernel.sum(&gaps, self.shape), scores);
        (lambda.detach() * driven).mean(None::<Kind>)
    }
}
