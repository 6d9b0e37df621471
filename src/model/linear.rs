//! Weights and biases of an encoder's layers.

use tch::Tensor;

use crate::optim::Named;

/// What keeps a normalised vector finite, as PyTorch has it.
pub(super) const EPSILON: f64 = 1e-5;

/// Weights, with biases or without.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Both are trained.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        let trained = |tensor: Tensor| tensor.set_requires_grad(true);
        Self { weight: trained(weight), bias: bias.map(trained) }
    }

    /// Those of each layer, of weights that begin with a dimension of layers.
    pub fn layers(&self) -> Vec<Self> {
        Self::of_layers(self.weight.unbind(0), self.bias.as_ref().map(|bias| bias.unbind(0)))
    }

    /// The same, from the weights and biases of each layer.
    pub fn of_layers(weights: Vec<Tensor>, biases: Option<Vec<Tensor>>) -> Vec<Self> {
        let mut biases = biases.map(Vec::into_iter);
        let mut next = || biases.as_mut().and_then(Iterator::next);
        weights.into_iter().map(|weight| Self { weight, bias: next() }).collect()
    }

    /// Weights and, where there are such, biases.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.weight).chain(&self.bias)
    }

    /// Weights and biases, where there are both.
    pub fn both(&self) -> Option<[&Tensor; 2]> {
        self.bias.as_ref().map(|bias| [&self.weight, bias])
    }

    /// x·Wᵀ + b.
    pub fn apply(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }

    /// Each vector of x at mean 0 and variance 1, times the weights, plus the biases.
    pub fn normalize(&self, x: &Tensor) -> Tensor {
        let dim = *x.size().last().expect("vectors have a width");
        x.layer_norm([dim], Some(&self.weight), self.bias.as_ref(), EPSILON, true)
    }

    /// By name.
    pub fn named(&self, [weight, bias]: [&'static str; 2]) -> Named {
        let biases = self.bias.iter().map(|own| (bias, own.shallow_clone()));
        std::iter::once((weight, self.weight.shallow_clone())).chain(biases).collect()
    }
}
