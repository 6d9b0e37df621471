//! Losses that are a plain mean over (positive, negative) pairs: CROLoss at α = 0 up to a factor
//! and a constant.

use tch::{Kind, Tensor};

use super::kernel::softplus;
use super::{Loss, Scores};

/// Mean of max(0, d + margin).
pub struct Triplet {
    pub margin: f64,
}

impl Loss for Triplet {
    fn loss(&self, scores: &Scores) -> Tensor {
        (scores.gaps() + self.margin).relu().mean(None::<Kind>)
    }
}

/// Mean of −ln σ(−d).
pub struct Bpr;

impl Loss for Bpr {
    fn loss(&self, scores: &Scores) -> Tensor {
        softplus(&scores.gaps()).mean(None::<Kind>)
    }
}
