//! Binary cross-entropies: each candidate is a yes or a no of its own.

use tch::{Kind, Tensor};

use super::kernel::softplus;
use super::{Loss, Scores};

/// softplus(−s⁺) + mean of softplus(s⁻): SASRec's loss, with any number of negatives.
pub struct Bce;

impl Loss for Bce {
    fn loss(&self, scores: &Scores) -> Tensor {
        let (sum, count) = negatives(scores);
        (softplus(&-&scores.positive) + sum / count.clamp_min(1.0)).mean(None::<Kind>)
    }
}

/// Generalised binary cross-entropy (Petrov and Macdonald, RecSys 2023): the positive's
/// probability to the power of β, which undoes that a model trained on few negatives is too sure
/// of itself. (β·softplus(−s⁺) + Σ softplus(s⁻)) / (1 + negatives), with the share of the
/// catalogue that is sampled a = M / (N − 1) and β = a·(t·(1 − 1/a) + 1/a): t = 0 is plain
/// cross-entropy, t = 1 gives β = a.
pub struct Gbce {
    /// t
    pub calibration: f64,
}

impl Gbce {
    /// β for M drawn negatives out of a catalogue of N.
    pub(super) fn power(&self, drawn: f64, catalogue: f64) -> f64 {
        let share = (drawn / (catalogue - 1.0)).min(1.0);
        share * (self.calibration * (1.0 - 1.0 / share) + 1.0 / share)
    }
}

impl Loss for Gbce {
    fn loss(&self, scores: &Scores) -> Tensor {
        let (sum, count) = negatives(scores);
        let positive = softplus(&-&scores.positive) * self.power(scores.drawn, scores.catalogue);
        ((positive + sum) / (count + 1.0)).mean(None::<Kind>)
    }
}

/// Σ softplus(s⁻) and the number of negatives that count, `[batch]` each.
fn negatives(scores: &Scores) -> (Tensor, Tensor) {
    let negative = &scores.negative;
    let sum = softplus(negative).sum_dim_intlist(1, false, None::<Kind>);
    let count = negative.isfinite().sum_dim_intlist(1, false, negative.kind());
    (sum, count)
}
