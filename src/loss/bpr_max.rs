//! BPR-max, GRU4Rec+'s loss.

use tch::{Kind, Tensor};

use super::{Loss, Scores};

/// −ln Σ_j w_j·σ(s⁺ − s⁻_j) + penalty·Σ_j w_j·(s⁻_j)², where w is the softmax of the negatives'
/// scores (Hidasi and Karatzoglou, CIKM 2018): the gradient goes to the negatives that score
/// high, and does not vanish with their number.
pub struct BprMax {
    pub penalty: f64,
}

impl Loss for BprMax {
    fn loss(&self, scores: &Scores) -> Tensor {
        // A row without any negative that counts has no softmax: it is taken as zeros and then
        // left out.
        let none = scores.negative.isneginf().all_dim(1, true);
        let negative = scores.negative.masked_fill(&none, 0.0);
        let log_weights = negative.log_softmax(1, None::<Kind>);
        let wins = (scores.positive.unsqueeze(1) - &negative).log_sigmoid();
        let ranked = (&log_weights + wins).logsumexp(1, false);
        // 0 · (−∞)² is no number.
        let finite = negative.masked_fill(&negative.isneginf(), 0.0);
        let square = (log_weights.exp() * finite.square()).sum_dim_intlist(1, false, None::<Kind>);
        let each = (square * self.penalty - ranked) * none.squeeze_dim(1).logical_not();
        each.mean(None::<Kind>)
    }
}
