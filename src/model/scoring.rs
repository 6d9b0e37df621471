//! The scoring rule: what a user vector and an item's row come to. The only place that spells it.

use tch::{Kind, Tensor};

use crate::config::{Activation, TowerConfig};
use crate::device::Kernels;

/// s = activation(γ·û·v̂) with vectors brought to unit length, or activation(u·v + bias) without.
#[derive(Clone, Copy, Debug)]
pub struct Scoring {
    normalize: bool,
    bias: bool,
    scale: f64,
    activation: Activation,
}

impl Scoring {
    /// What stands beside the squared length: a zero vector stays zero.
    pub const EPSILON: f64 = 1e-8;

    /// The rule of a configuration.
    pub fn new(config: &TowerConfig) -> Self {
        Self {
            normalize: config.normalize,
            bias: config.output_bias,
            scale: config.scale,
            activation: config.activation,
        }
    }

    /// The ε of unit length, where vectors are brought to it.
    pub fn unit_epsilon(&self) -> Option<f64> {
        self.normalize.then_some(Self::EPSILON)
    }

    /// Whether an item's row ends with a bias.
    pub fn has_bias(&self) -> bool {
        self.bias
    }

    /// What the inner product of user and item vector is multiplied with: γ, or 1 where vectors
    /// have lengths of their own.
    pub fn factor(&self) -> f64 {
        if self.normalize { self.scale } else { 1.0 }
    }

    /// User vectors `[users, dim]` from what an encoder gives, one wider where items have biases:
    /// their inner products with item vectors rank the catalogue.
    pub fn users(&self, vectors: &Tensor) -> Tensor {
        let vectors = self.items(vectors);
        if !self.bias {
            return vectors;
        }
        // What a bias is multiplied with.
        let one = Tensor::ones([vectors.size()[0], 1], (vectors.kind(), vectors.device()));
        Tensor::cat(&[vectors, one], 1)
    }

    /// Item vectors from rows of the table that is scored, `[..., dim]`.
    pub fn items(&self, rows: &Tensor) -> Tensor {
        if self.normalize { Self::unit(rows) } else { rows.shallow_clone() }
    }

    /// Scores from inner products times [`Scoring::factor`]; keeps their order, and −∞, a score
    /// that does not count.
    pub fn activate(&self, scores: &Tensor) -> Tensor {
        match self.activation {
            Activation::None => scores.shallow_clone(),
            Activation::Elu => {
                let below = (scores.clamp_max(0.0).exp() - 1.0) * 0.5;
                let bent = scores.clamp_min(0.0) + below;
                bent.masked_fill(&scores.isneginf(), f64::NEG_INFINITY)
            }
        }
    }

    /// v / √(|v|² + ε), along the last dimension: unit length, and 0 for a zero vector.
    pub fn unit(v: &Tensor) -> Tensor {
        if let Some(kernels) = Kernels::of(v) {
            return kernels.unit(v, Self::EPSILON);
        }
        v * Self::inverse_length(v)
    }

    /// 1 / √(|v|² + ε), along the last dimension, which stays as one of size 1.
    pub fn inverse_length(v: &Tensor) -> Tensor {
        (v.square().sum_dim_intlist(-1, true, None::<Kind>) + Self::EPSILON).rsqrt()
    }

    /// The end of a user tower in TorchScript, a method `finish`: as [`Scoring::users`].
    pub fn user_script(&self) -> String {
        let vectors = self.script();
        let out = match self.bias {
            true => format!("torch.cat([{vectors}, torch.ones_like(v[:, :1])], 1)"),
            false => vectors,
        };
        finish(&out)
    }

    /// The end of an item tower in TorchScript, a method `finish`: as [`Scoring::items`].
    pub fn item_script(&self) -> String {
        finish(&self.script())
    }

    fn script(&self) -> String {
        match self.unit_epsilon() {
            Some(epsilon) => {
                format!("v * torch.rsqrt(v.square().sum(-1, keepdim=True) + {epsilon:e})")
            }
            None => "v".into(),
        }
    }
}

fn finish(out: &str) -> String {
    format!("\ndef finish(self, v: Tensor) -> Tensor:\n    return {out}\n")
}
