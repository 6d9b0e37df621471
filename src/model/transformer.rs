//! SASRec's encoder: a causal Transformer over the history.

use tch::{Device, Kind, Tensor};

use super::initial::{glorot, uniform};
use super::{Dropout, Encoder, Layout};
use crate::optim::Named;

/// What keeps a normalised vector finite, as PyTorch has it.
const EPSILON: f64 = 1e-5;

/// x = √d·item + position, then pre-norm layers of attention and a two-layer network with ReLU,
/// each added to what it reads, then a last norm. (Kang and McAuley, ICDM 2018, with the order of
/// norms that the published TRON has.)
///
/// Positions are counted from the right: the latest click always has the same one. A position
/// sees itself and what came before it. Weights of all layers stand in one tensor of each kind.
pub struct Transformer {
    heads: i64,
    dropout: f64,
    /// `[history, dim]`: row `i` is the position of which `history − 1 − i` come after it.
    positions: Tensor,
    /// `[layers, 3·dim, dim]` and `[layers, 3·dim]`: queries, keys and values.
    attend: Linear,
    /// `[layers, dim, dim]` and `[layers, dim]` each: what attention gives, the network's two.
    combine: Linear,
    widen: Linear,
    narrow: Linear,
    /// `[layers, dim]` each.
    norm1: Linear,
    norm2: Linear,
    /// `[dim]` each.
    norm: Linear,
}

/// Weights and biases.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(weight: Tensor, bias: Tensor) -> Self {
        Self { weight: weight.set_requires_grad(true), bias: bias.set_requires_grad(true) }
    }

    /// Those of each layer.
    fn layers(&self) -> Vec<Linear> {
        let parts = self.weight.unbind(0).into_iter().zip(self.bias.unbind(0));
        parts.map(|(weight, bias)| Linear { weight, bias }).collect()
    }

    fn apply(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn normalize(&self, x: &Tensor) -> Tensor {
        let dim = *x.size().last().expect("vectors have a width");
        x.layer_norm([dim], Some(&self.weight), Some(&self.bias), EPSILON, true)
    }
}

impl Transformer {
    /// Initial weights as PyTorch draws them for `nn.TransformerEncoderLayer`, positions
    /// Glorot-uniform.
    pub fn new(
        [dim, history, layers, heads]: [i64; 4],
        dropout: f64,
        seed: u64,
        device: Device,
    ) -> Self {
        let drawn = |limit: f64, shape: &[i64], part| uniform(limit, shape, seed, part, device);
        let full = |value: f64, shape: &[i64]| Tensor::full(shape, value, (Kind::Float, device));
        let limit = 1.0 / (dim as f64).sqrt();
        let dense = |part| {
            Linear::new(
                drawn(limit, &[layers, dim, dim], part),
                drawn(limit, &[layers, dim], part + 1),
            )
        };
        let norm = |shape: &[i64]| Linear::new(full(1.0, shape), full(0.0, shape));
        let attend = drawn((6.0 / (4 * dim) as f64).sqrt(), &[layers, 3 * dim, dim], 11);
        Self {
            heads,
            dropout,
            positions: glorot(history, dim, seed, 10, device).set_requires_grad(true),
            attend: Linear::new(attend, full(0.0, &[layers, 3 * dim])),
            combine: Linear::new(drawn(limit, &[layers, dim, dim], 12), full(0.0, &[layers, dim])),
            widen: dense(13),
            narrow: dense(15),
            norm1: norm(&[layers, dim]),
            norm2: norm(&[layers, dim]),
            norm: norm(&[dim]),
        }
    }

    /// `[positions, 3·dim]` queries, keys, values to `[positions, dim]`.
    fn attention(
        &self,
        attended: &Tensor,
        layout: &Layout,
        drop: &dyn Fn(Tensor) -> Tensor,
    ) -> Tensor {
        let padded = layout.pad(attended);
        let (batch, longest, width) = padded.size3().expect("padded histories");
        let dim = width / 3;
        let each = dim / self.heads;
        let parts = padded.view([batch, longest, 3, self.heads, each]).permute([2, 0, 3, 1, 4]);
        let parts = parts.unbind(0);
        let [q, k, v] = &parts[..] else { unreachable!("three parts were made") };
        // Padding stands behind a history: what a position may not see, later ones, holds it all.
        let later = Tensor::ones([longest, longest], (Kind::Bool, padded.device())).triu(1);
        let scores = (q * (1.0 / (each as f64).sqrt())).matmul(&k.transpose(2, 3));
        let weights = scores.masked_fill(&later, f64::NEG_INFINITY).softmax(-1, None::<Kind>);
        let seen = drop(weights).matmul(v);
        layout.pack(&seen.transpose(1, 2).reshape([batch, longest, dim]))
    }
}

impl Encoder for Transformer {
    fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor {
        let (history, dim) = self.positions.size2().expect("positions are a matrix");
        let drop = |x: Tensor| match dropout {
            Some(dropout) => dropout.apply(&x, self.dropout),
            None => x,
        };
        let position = layout.from_end() * -1 + (history - 1);
        let mut x = drop(rows * (dim as f64).sqrt() + self.positions.index_select(0, &position));
        let kinds =
            [&self.norm1, &self.attend, &self.combine, &self.norm2, &self.widen, &self.narrow];
        let kinds = kinds.map(Linear::layers);
        let [norm1, attend, combine, norm2, widen, narrow] = &kinds;
        for at in 0..norm1.len() {
            let attended = attend[at].apply(&norm1[at].normalize(&x));
            let seen = self.attention(&attended, layout, &drop);
            x = &x + drop(combine[at].apply(&seen));
            let wide = drop(widen[at].apply(&norm2[at].normalize(&x)).relu());
            x = &x + drop(narrow[at].apply(&wide));
        }
        self.norm.normalize(&x)
    }

    fn parameters(&self) -> Named {
        let all = [
            ("encoder.positions", &self.positions),
            ("encoder.attend.weight", &self.attend.weight),
            ("encoder.attend.bias", &self.attend.bias),
            ("encoder.combine.weight", &self.combine.weight),
            ("encoder.combine.bias", &self.combine.bias),
            ("encoder.widen.weight", &self.widen.weight),
            ("encoder.widen.bias", &self.widen.bias),
            ("encoder.narrow.weight", &self.narrow.weight),
            ("encoder.narrow.bias", &self.narrow.bias),
            ("encoder.norm1.weight", &self.norm1.weight),
            ("encoder.norm1.bias", &self.norm1.bias),
            ("encoder.norm2.weight", &self.norm2.weight),
            ("encoder.norm2.bias", &self.norm2.bias),
            ("encoder.norm.weight", &self.norm.weight),
            ("encoder.norm.bias", &self.norm.bias),
        ];
        all.into_iter().map(|(name, weight)| (name, weight.shallow_clone())).collect()
    }
}
