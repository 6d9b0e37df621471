//! What a Transformer does between its matrix products: chains of tensor ops, which define it, and on
//! a GPU the same by kernels of our own.

use tch::{Kind, Tensor};

use super::linear::{EPSILON, Linear};
use super::{Dropout, Layout};
use crate::device::{Drops, Kernels};

/// How one way through a Transformer is gone.
pub struct Between<'a> {
    kernels: Option<Kernels>,
    dropout: Option<&'a Dropout>,
    /// The share of dropout.
    rate: f64,
    layout: &'a Layout,
    /// `[longest, longest]` bool: what a position does not see; the kernels know.
    later: Option<Tensor>,
}

impl<'a> Between<'a> {
    /// For `rows` `[positions, dim]` that lie where `layout` says; `dropout` for training.
    pub fn new(rows: &Tensor, layout: &'a Layout, dropout: Option<&'a Dropout>, rate: f64) -> Self {
        let kernels = Kernels::of(rows);
        let longest = layout.longest();
        // Padding stands behind a history: what a position may not see, later ones, holds it all.
        let later = || Tensor::ones([longest, longest], (Kind::Bool, rows.device())).triu(1);
        Self { kernels, dropout, rate, layout, later: kernels.is_none().then(later) }
    }

    /// `x` with dropout.
    pub fn drop(&self, x: Tensor) -> Tensor {
        match self.dropout {
            Some(dropout) => dropout.apply(&x, self.rate),
            None => x,
        }
    }

    /// The next draws of the kernels.
    fn drops(&self) -> Drops {
        self.dropout.map_or(Drops::default(), |dropout| dropout.drops(self.rate))
    }

    /// √d·row + position, from the positions `[history, dim]`, of which the last is the latest click's.
    pub fn embed(&self, rows: &Tensor, positions: &Tensor) -> Tensor {
        let (history, dim) = positions.size2().expect("positions are a matrix");
        let (factor, from_end) = ((dim as f64).sqrt(), self.layout.from_end());
        if let Some(kernels) = self.kernels {
            return kernels.embed((rows, positions), from_end, factor, self.drops());
        }
        let position = from_end.rsub_scalar(history - 1);
        self.drop(rows * factor + positions.index_select(0, &position))
    }

    /// Rows `[positions, dim]` normalised.
    pub fn norm(&self, by: &Linear, x: &Tensor) -> Tensor {
        match (self.kernels, by.both()) {
            (Some(kernels), Some(weights)) => {
                let [normal, _] = kernels.norm((x, None), weights, EPSILON, Drops::default());
                normal
            }
            _ => by.normalize(x),
        }
    }

    /// x + `added`, and that normalised.
    pub fn add(&self, by: &Linear, x: &Tensor, added: Tensor) -> (Tensor, Tensor) {
        self.sum(by, x, added, Drops::default())
    }

    /// x + `added` with dropout, and that normalised.
    pub fn drop_and_add(&self, by: &Linear, x: &Tensor, added: Tensor) -> (Tensor, Tensor) {
        match self.kernels {
            Some(_) => self.sum(by, x, added, self.drops()),
            None => self.add(by, x, self.drop(added)),
        }
    }

    fn sum(&self, by: &Linear, x: &Tensor, added: Tensor, drops: Drops) -> (Tensor, Tensor) {
        if let (Some(kernels), Some(weights)) = (self.kernels, by.both()) {
            let [normal, sum] = kernels.norm((x, Some(&added)), weights, EPSILON, drops);
            return (sum, normal);
        }
        let sum = x + added;
        let normal = by.normalize(&sum);
        (sum, normal)
    }

    /// max(x, 0) with dropout.
    pub fn relu(&self, x: Tensor) -> Tensor {
        match self.kernels {
            Some(kernels) => kernels.relu(&x, self.drops()),
            None => self.drop(x.relu()),
        }
    }

    /// What each position sees, `[positions, dim]`: itself and what came before it; of `[positions,
    /// 3·dim]` queries, keys and values.
    pub fn attend(&self, attended: &Tensor, heads: i64) -> Tensor {
        if let Some(kernels) = self.kernels {
            let shape = [self.layout.histories(), self.layout.longest(), heads];
            return kernels.attend(attended, self.layout.packing(), shape, self.drops());
        }
        let padded = self.layout.pad(attended);
        let (batch, longest, width) = padded.size3().expect("padded histories");
        let dim = width / 3;
        let each = dim / heads;
        let parts = padded.view([batch, longest, 3, heads, each]).permute([2, 0, 3, 1, 4]);
        let parts = parts.unbind(0);
        let [q, k, v] = &parts[..] else { unreachable!("three parts were made") };
        let mut scores = (q * (1.0 / (each as f64).sqrt())).matmul(&k.transpose(2, 3));
        let later = self.later.as_ref().expect("made where there are no kernels");
        let weights = scores.masked_fill_(later, f64::NEG_INFINITY).softmax(-1, None::<Kind>);
        let seen = self.drop(weights).matmul(v);
        self.layout.pack(&seen.transpose(1, 2).reshape([batch, longest, dim]))
    }

    /// Weights by layer, of kinds that begin with a dimension of layers.
    pub fn layers<const N: usize>(&self, kinds: [&Linear; N]) -> [Vec<Linear>; N] {
        let Some(kernels) = self.kernels else { return kinds.map(Linear::layers) };
        let stacked: Vec<&Tensor> = kinds.iter().flat_map(|kind| kind.tensors()).collect();
        let mut all = kernels.layers(&stacked).into_iter();
        kinds.map(|kind| {
            let mut next = || all.next().expect("as many kinds as were given");
            let weights = next();
            let biases = kind.both().map(|_| next());
            Linear::of_layers(weights, biases)
        })
    }
}
