//! BSL, the softmax loss with a temperature for each side.

use tch::{Kind, Tensor};

use super::{Loss, Scores};

/// −ln( e^(s⁺/τ₁) / (Σ_j e^(s⁻_j/τ₂))^(τ₂/τ₁) ), mean over the batch (Wu et al., ICDE 2024): the
/// softmax loss over the negatives alone where τ₁ = τ₂.
///
/// It is (τ₂/τ₁)·ln Σ_j e^(d_j/τ₂): with one positive an example τ₁ is but a factor.
pub struct Bsl {
    /// τ₁
    pub positive_temperature: f64,
    /// τ₂
    pub negative_temperature: f64,
}

impl Loss for Bsl {
    fn loss(&self, scores: &Scores) -> Tensor {
        let [own, rivals] = [self.positive_temperature, self.negative_temperature];
        // A row without any negative that counts has no sum: it is taken as zeros and then left
        // out.
        let none = scores.negative.isneginf().all_dim(1, true);
        let negative = scores.negative.masked_fill(&none, 0.0) / rivals;
        let sums = negative.logsumexp(1, false) * (rivals / own);
        let each = (sums - &scores.positive / own) * none.squeeze_dim(1).logical_not();
        each.mean(None::<Kind>)
    }
}
