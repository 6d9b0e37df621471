//! Softmax cross-entropy over the sampled candidates.

use tch::{Kind, Tensor};

use super::{Loss, Scores};
use crate::config::LogQ;

/// −ln( e^s⁺ / (e^s⁺ + Σ_j e^s⁻_j) ), mean over the batch. Equals CROLoss with the exponential
/// kernel, α = 1 and the `scaled-rank` estimator (paper, section 4).
///
/// With the log-q correction s⁻_j becomes s⁻_j − ln c_j, c_j the number of times that the item is
/// expected among the candidates: then Σ_j estimates the sum over the whole catalogue without
/// bias, whatever the candidates were drawn from ([`crate::config::LogQ`]).
pub struct CrossEntropy {
    pub log_q: LogQ,
}

impl Loss for CrossEntropy {
    fn loss(&self, scores: &Scores) -> Tensor {
        let corrected = match (&scores.log_counts, self.log_q) {
            (Some(log_counts), LogQ::Negatives | LogQ::Corrected) => &scores.negative - log_counts,
            _ => scores.negative.shallow_clone(),
        };
        let positive = scores.positive.unsqueeze(1);
        let all = Tensor::cat(&[&positive, &corrected], 1).logsumexp(1, false);
        if self.log_q != LogQ::Corrected {
            return (all - &scores.positive).mean(None::<Kind>);
        }
        // Its gradient is that of `negatives`: (1 − p)·e^s_j/Σ is e^s_j over the whole sum. Where
        // no candidate counts, the weight is 0 and the clamp keeps the sum a number.
        let rivals = corrected.logsumexp(1, false).clamp_min(-1e4);
        let weight = (&scores.positive - all).exp().neg() + 1.0;
        (weight.detach() * (rivals - &scores.positive)).mean(None::<Kind>)
    }
}
