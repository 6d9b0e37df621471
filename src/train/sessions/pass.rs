//! The encoder's way forward and back, part by part; on a host several threads take the parts.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::config::Config;
use crate::sampling::SessionBatch;
use crate::tower::{Dropout, TwoTower};

/// How the encoder is gone through.
pub struct Pass {
    seed: u64,
    drops: bool,
    /// Whether this crate's threads take the parts, each with libtorch on that thread alone:
    /// libtorch's own threads wait for work in a loop, beside the loops of this crate.
    parallel: bool,
    device: Device,
}

/// What of the way forward the way back needs, by part.
pub struct Passed {
    /// `[positions, dim]`: the rows that were read, leaves of the gradient.
    read: Vec<Tensor>,
    /// `[positions, dim]`
    vectors: Vec<Tensor>,
}

impl Passed {
    /// `[positions, dim]`, without gradients.
    pub fn vectors(&self) -> Tensor {
        Tensor::cat(&self.vectors, 0).detach()
    }
}

/// What several threads read at once.
struct Across<T>(T);

// SAFETY: libtorch lets several threads read a tensor and build graphs upon it; nothing here
// writes to what is shared.
unsafe impl<T> Sync for Across<T> {}

impl<T> Across<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

impl Pass {
    pub fn new(config: &Config, model: &TwoTower) -> Self {
        let device = model.items.weights().device();
        Self {
            seed: config.seed,
            drops: config.tower.dropout() > 0.0,
            parallel: config.train.fused && device == Device::Cpu,
            device,
        }
    }

    /// The positions' vectors.
    pub fn forward(&self, model: &TwoTower, batch: &SessionBatch, step: u64) -> Passed {
        let shared = Across((model, batch));
        let all = self.each(batch.parts.len(), |at| {
            let (model, batch) = shared.get();
            let part = &batch.parts[at];
            let inputs = batch.inputs.narrow(0, part.from, part.count);
            let read = model.items.gather(&inputs).set_requires_grad(true);
            let dropout = self.drops.then(|| Dropout::new(self.seed, step, at as u64, self.device));
            let vectors = model.positions(&read, &part.layout, dropout.as_ref());
            (read, vectors)
        });
        let (read, vectors) = all.into_iter().unzip();
        Passed { read, vectors }
    }

    /// From the gradient `[positions, dim]` of the vectors those of the encoder's parameters, and
    /// that of the rows that were read `[positions, dim]`.
    pub fn backward(
        &self,
        parameters: &[(&'static str, Tensor)],
        batch: &SessionBatch,
        passed: &Passed,
        gradient: &Tensor,
    ) -> (Vec<Tensor>, Tensor) {
        let shared = Across((parameters, batch, passed, gradient));
        let parts = self.each(batch.parts.len(), |at| {
            let (parameters, batch, passed, gradient) = shared.get();
            let part = &batch.parts[at];
            let own = gradient.narrow(0, part.from, part.count);
            // Its gradient in the vectors is `own`.
            let through = (&passed.vectors[at] * own).sum(None::<Kind>);
            let leaves: Vec<&Tensor> =
                parameters.iter().map(|(_, p)| p).chain([&passed.read[at]]).collect();
            Tensor::run_backward(&[&through], &leaves, false, false)
        });
        let mut parts = parts.into_iter();
        let mut sums = parts.next().expect("a batch has positions");
        let mut read = vec![sums.pop().expect("one gradient for each leaf")];
        for mut part in parts {
            read.push(part.pop().expect("one gradient for each leaf"));
            sums.iter_mut().zip(&part).for_each(|(sum, own)| *sum += own);
        }
        (sums, Tensor::cat(&read, 0))
    }

    /// `of` each of `count` parts, in order.
    fn each<T: Send>(&self, count: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
        match self.parallel {
            true => (0..count).into_par_iter().with_max_len(1).map(&of).collect(),
            false => (0..count).map(of).collect(),
        }
    }
}
