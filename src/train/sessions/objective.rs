//! From plain scores to the loss.

use tch::{Kind, Tensor};

use super::rows::host_floats;
use crate::config::{Activation, Config};
use crate::loss::{self, Loss, Scores};

/// A loss over the activated scores of candidates out of a catalogue.
pub struct Objective {
    loss: Box<dyn Loss>,
    activation: Activation,
    catalogue: f64,
}

/// A loss and its slopes in the scores.
pub struct Slopes {
    pub loss: f64,
    /// `[positions]`
    pub positive: Vec<f32>,
    /// `[positions, n]`; 0 where a score is −∞.
    pub negative: Vec<f32>,
}

impl Objective {
    /// That of a checked configuration, for a catalogue of so many items.
    pub fn new(config: &Config, catalogue: usize) -> Self {
        Self {
            loss: loss::build(&config.loss),
            activation: config.tower.activation,
            catalogue: catalogue as f64,
        }
    }

    /// The mean loss of positions, from inner products `[positions]` and `[positions, n]`, −∞ where
    /// a candidate does not count; `drawn` is M, `log_counts` as [`Scores`] has them.
    pub fn loss(
        &self,
        positive: &Tensor,
        negative: &Tensor,
        drawn: f64,
        log_counts: Option<Tensor>,
    ) -> Tensor {
        let active = |scores: &Tensor| match self.activation {
            Activation::None => scores.shallow_clone(),
            Activation::Elu => elu(scores),
        };
        self.loss.loss(&Scores {
            positive: active(positive),
            negative: active(negative),
            catalogue: self.catalogue,
            drawn,
            log_counts,
        })
    }

    /// `share` times the mean loss, over host memory.
    pub fn slopes(
        &self,
        share: f64,
        positive: &[f32],
        negative: &[f32],
        drawn: f64,
        log_counts: Option<&[f32]>,
    ) -> Slopes {
        let count = positive.len() as i64;
        let matrix = |values: &[f32]| Tensor::from_slice(values).view([count, -1]);
        let leaves = [Tensor::from_slice(positive), matrix(negative)];
        let [own, rivals] = leaves.map(|leaf| leaf.set_requires_grad(true));
        let loss = self.loss(&own, &rivals, drawn, log_counts.map(matrix)) * share;
        let gradients = Tensor::run_backward(&[&loss], &[&own, &rivals], false, false);
        let [own, mut rivals] = [0, 1].map(|at| host_floats(&gradients[at].contiguous()).to_vec());
        // What does not count has no slope, though a loss's own may be 0·∞ there.
        for (slope, score) in rivals.iter_mut().zip(negative) {
            if *score == f32::NEG_INFINITY {
                *slope = 0.0;
            }
        }
        let loss = loss.to_kind(Kind::Double).double_value(&[]);
        Slopes { loss, positive: own, negative: rivals }
    }
}

/// Above 0 itself, below 0 ½·(eˣ − 1).
fn elu(x: &Tensor) -> Tensor {
    // −∞, a score that does not count, stays so.
    let below = (x.clamp_max(0.0).exp() - 1.0) * 0.5;
    let bent = x.clamp_min(0.0) + below;
    bent.masked_fill(&x.isneginf(), f64::NEG_INFINITY)
}
