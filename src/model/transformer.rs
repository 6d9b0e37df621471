//! SASRec's encoder: a causal Transformer over the history.

use tch::{Device, Kind, Tensor};

use super::between::Between;
use super::initial::{glorot, uniform};
use super::linear::Linear;
use super::{Dropout, Encoder, Layout};
use crate::config::TransformerLayer;
use crate::optim::Named;

/// x = √d·item + position, then pre-norm layers of attention and a two-layer network with ReLU,
/// each added to what it reads, then a last norm. (Kang and McAuley, ICDM 2018, with the order of
/// norms that the published TRON has.)
///
/// In LiGR layers what is added goes through a gate on what the layer reads, x ← x + σ(W·x + b) ⊙ …,
/// and the network is silu(W_a·h) ⊙ W_b·h through a last matrix, without biases.
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
    /// `[layers, dim, dim]` and `[layers, dim]` each: what attention gives, the network's two; of
    /// LiGR layers the network's are `[layers, widening·dim, dim]` and the other way round.
    combine: Linear,
    widen: Linear,
    narrow: Linear,
    gated: Option<Gated>,
    /// `[layers, dim]` each.
    norm1: Linear,
    norm2: Linear,
    /// `[dim]` each.
    norm: Linear,
}

/// What LiGR layers have beside. (Gated residuals of arXiv 2502.03417 with SwiGLU.)
struct Gated {
    /// `[layers, dim, dim]` and `[layers, dim]` each: what attention and the network are let through
    /// by.
    gates: [Linear; 2],
    /// `[layers, widening·dim, dim]`
    swish: Linear,
}

impl Gated {
    /// Those of each layer.
    fn layers(&self, between: &Between) -> Vec<Self> {
        let [gate1, gate2] = &self.gates;
        let [gate1, gate2, swish] = between.layers([gate1, gate2, &self.swish]);
        let gates = gate1.into_iter().zip(gate2);
        let parts = gates.zip(swish);
        parts.map(|((gate1, gate2), swish)| Self { gates: [gate1, gate2], swish }).collect()
    }
}

impl Transformer {
    /// Initial weights as PyTorch draws them for `nn.TransformerEncoderLayer` and `nn.Linear`,
    /// positions Glorot-uniform.
    pub fn new(
        [dim, history, layers, heads]: [i64; 4],
        layer: TransformerLayer,
        dropout: f64,
        seed: u64,
        device: Device,
    ) -> Self {
        let drawn = |limit: f64, shape: &[i64], part| uniform(limit, shape, seed, part, device);
        let full = |value: f64, shape: &[i64]| Tensor::full(shape, value, (Kind::Float, device));
        let limit = |from: i64| 1.0 / (from as f64).sqrt();
        let plain = |to: i64, from: i64, part| drawn(limit(from), &[layers, to, from], part);
        let dense = |part| {
            let bias = drawn(limit(dim), &[layers, dim], part + 1);
            Linear::new(plain(dim, dim, part), Some(bias))
        };
        let (widen, narrow, gated) = match layer {
            TransformerLayer::Sasrec => (dense(13), dense(15), None),
            TransformerLayer::Ligr { widening } => {
                let wide = widening * dim;
                let without = |to, from, part| Linear::new(plain(to, from, part), None);
                let gates = [dense(40), dense(42)];
                let gated = Gated { gates, swish: without(wide, dim, 44) };
                (without(wide, dim, 13), without(dim, wide, 15), Some(gated))
            }
        };
        let norm = |shape: &[i64]| Linear::new(full(1.0, shape), Some(full(0.0, shape)));
        let attend = drawn((6.0 / (4 * dim) as f64).sqrt(), &[layers, 3 * dim, dim], 11);
        Self {
            heads,
            dropout,
            positions: glorot(history, dim, seed, 10, device).set_requires_grad(true),
            attend: Linear::new(attend, Some(full(0.0, &[layers, 3 * dim]))),
            combine: Linear::new(plain(dim, dim, 12), Some(full(0.0, &[layers, dim]))),
            widen,
            narrow,
            gated,
            norm1: norm(&[layers, dim]),
            norm2: norm(&[layers, dim]),
            norm: norm(&[dim]),
        }
    }
}

impl Encoder for Transformer {
    fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor {
        let between = Between::new(rows, layout, dropout, self.dropout);
        let mut x = between.embed(rows, &self.positions);
        let kinds =
            [&self.norm1, &self.attend, &self.combine, &self.norm2, &self.widen, &self.narrow];
        let [norm1, attend, combine, norm2, widen, narrow] = &between.layers(kinds);
        let gated = self.gated.as_ref().map(|own| own.layers(&between));
        let mut read = between.norm(&norm1[0], &x);
        for at in 0..norm1.len() {
            let gated = gated.as_ref().map(|layers| &layers[at]);
            let add = |which: usize, norm: &Linear, x: &Tensor, added: Tensor| match gated {
                None => between.drop_and_add(norm, x, added),
                Some(own) => {
                    let through = own.gates[which].apply(x).sigmoid() * between.drop(added);
                    between.add(norm, x, through)
                }
            };
            let seen = between.attend(&attend[at].apply(&read), self.heads);
            (x, read) = add(0, &norm2[at], &x, combine[at].apply(&seen));
            let wide = match gated {
                None => between.relu(widen[at].apply(&read)),
                Some(own) => between.drop(own.swish.apply(&read).silu() * widen[at].apply(&read)),
            };
            let next = norm1.get(at + 1).unwrap_or(&self.norm);
            (x, read) = add(1, next, &x, narrow[at].apply(&wide));
        }
        read
    }

    fn parameters(&self) -> Named {
        let mut all = vec![("encoder.positions", self.positions.shallow_clone())];
        all.extend(self.attend.named(["encoder.attend.weight", "encoder.attend.bias"]));
        all.extend(self.combine.named(["encoder.combine.weight", "encoder.combine.bias"]));
        all.extend(self.widen.named(["encoder.widen.weight", "encoder.widen.bias"]));
        all.extend(self.narrow.named(["encoder.narrow.weight", "encoder.narrow.bias"]));
        all.extend(self.norm1.named(["encoder.norm1.weight", "encoder.norm1.bias"]));
        all.extend(self.norm2.named(["encoder.norm2.weight", "encoder.norm2.bias"]));
        all.extend(self.norm.named(["encoder.norm.weight", "encoder.norm.bias"]));
        if let Some(Gated { gates: [gate1, gate2], swish }) = &self.gated {
            all.extend(gate1.named(["encoder.gate1.weight", "encoder.gate1.bias"]));
            all.extend(gate2.named(["encoder.gate2.weight", "encoder.gate2.bias"]));
            all.extend(swish.named(["encoder.swish.weight", "encoder.swish.bias"]));
        }
        all
    }
}
