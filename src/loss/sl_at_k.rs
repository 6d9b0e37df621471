//! SL@K, the softmax loss that cares for the first K.

use tch::{Kind, Tensor};

use super::{Loss, Scores};

/// Softmax cross-entropy times σ((s⁺ − β)/τ_w), mean over the batch (Yang et al., KDD 2025). β
/// stands for the score of the user's item at rank K; the weight carries no gradient.
///
/// Of N items K score at least β, so that of M candidates M·K/N do: β is the one at place
/// ⌈M·K/N⌉ among the positive and its candidates, the highest at place 1.
pub struct SlAtK {
    /// K
    pub at: f64,
    /// τ_w
    pub weight_temperature: f64,
}

impl SlAtK {
    /// The place of β, counted from 0, among `count` scores.
    pub(super) fn place(&self, scores: &Scores, count: i64) -> i64 {
        let place = (self.at * scores.drawn / scores.catalogue).ceil() as i64;
        place.clamp(1, count) - 1
    }
}

impl Loss for SlAtK {
    fn loss(&self, scores: &Scores) -> Tensor {
        let all = Tensor::cat(&[&scores.positive.unsqueeze(1), &scores.negative], 1);
        let place = self.place(scores, all.size()[1]);
        let (sorted, _) = all.detach().topk(place + 1, 1, true, true);
        let beta = sorted.select(1, place);
        let weight = ((scores.positive.detach() - beta) / self.weight_temperature).sigmoid();
        (weight * (all.logsumexp(1, false) - &scores.positive)).mean(None::<Kind>)
    }
}
