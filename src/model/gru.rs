//! GRU4Rec's encoder: recurrent layers over the history.

use tch::{Device, Tensor};

use super::initial::uniform;
use super::{Dropout, Encoder, Layout};
use crate::optim::Named;

/// Gated recurrent layers of the item vectors' width, PyTorch's form; dropout on what each layer
/// gives.
pub struct Gru {
    dropout: f64,
    /// `[layers, 3·dim, dim]`: of a layer's input and of its state; reset, update and new gate.
    input: Tensor,
    state: Tensor,
    /// `[layers, 3·dim]` each.
    input_bias: Tensor,
    state_bias: Tensor,
}

impl Gru {
    /// Initial weights as PyTorch draws them for `nn.GRU`.
    pub fn new([dim, layers]: [i64; 2], dropout: f64, seed: u64, device: Device) -> Self {
        let drawn = |shape: &[i64], part| {
            let limit = 1.0 / (dim as f64).sqrt();
            uniform(limit, shape, seed, part, device).set_requires_grad(true)
        };
        Self {
            dropout,
            input: drawn(&[layers, 3 * dim, dim], 20),
            state: drawn(&[layers, 3 * dim, dim], 21),
            input_bias: drawn(&[layers, 3 * dim], 22),
            state_bias: drawn(&[layers, 3 * dim], 23),
        }
    }
}

impl Encoder for Gru {
    fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor {
        let mut all = layout.pad(rows);
        let (batch, _, dim) = all.size3().expect("padded histories");
        let start = Tensor::zeros([1, batch, dim], (rows.kind(), rows.device()));
        let kinds = [&self.input, &self.state, &self.input_bias, &self.state_bias];
        let kinds = kinds.map(|kind| kind.unbind(0));
        for at in 0..kinds[0].len() {
            let weights = kinds.each_ref().map(|kind| &kind[at]);
            // cuDNN goes back only through what it was told is training.
            let train = weights[0].requires_grad();
            all = all.gru(&start, &weights, true, 1, 0.0, train, false, true).0;
            if let Some(dropout) = dropout {
                all = dropout.apply(&all, self.dropout);
            }
        }
        layout.pack(&all)
    }

    fn parameters(&self) -> Named {
        let all = [
            ("encoder.input.weight", &self.input),
            ("encoder.state.weight", &self.state),
            ("encoder.input.bias", &self.input_bias),
            ("encoder.state.bias", &self.state_bias),
        ];
        all.into_iter().map(|(name, weight)| (name, weight.shallow_clone())).collect()
    }
}
