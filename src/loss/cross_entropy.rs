//! Softmax cross-entropy over the sampled candidates.

use tch::{Kind, Tensor};

use super::{Loss, Scores};

/// −ln( e^s⁺ / (e^s⁺ + Σ_j e^s⁻_j) ), mean over the batch. Equals CROLoss with the exponential
/// kernel, α = 1 and the `scaled-rank` estimator (paper, section 4).
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn loss(&self, scores: &Scores) -> Tensor {
        let all = Tensor::cat(&[&scores.positive.unsqueeze(1), &scores.negative], 1);
        (all.logsumexp(1, false) - &scores.positive).mean(None::<Kind>)
    }
}
