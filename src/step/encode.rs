//! The encoder's way forward and back, chunk by chunk; on a host several threads take the chunks.

use rayon::prelude::*;
use tch::Tensor;

use super::Plan;
use crate::batch::Batch;
use crate::config::Config;
use crate::device;
use crate::model::{Draws, Dropout, Items, Model};

/// How the encoder is gone through.
pub struct Encode {
    seed: u64,
    /// Who draws for dropout, where there is any.
    dropout: Option<Draws>,
    /// Whether this crate's threads take the chunks, each with libtorch on that thread alone:
    /// libtorch's own threads wait for work in a loop, beside the loops of this crate.
    parallel: bool,
}

/// What of the way forward the way back needs, by chunk.
pub struct Encoded {
    /// `[positions, dim]`: the rows that were read, leaves of the gradient.
    read: Vec<Tensor>,
    /// `[queries, dim]`
    vectors: Vec<Tensor>,
}

impl Encoded {
    /// `[queries, dim]`, without gradients.
    pub fn vectors(&self) -> Tensor {
        match &self.vectors[..] {
            [one] => one.detach(),
            many => Tensor::cat(many, 0).detach(),
        }
    }
}

/// What several threads read at once.
struct Across<T>(T);

// SAFETY: libtorch lets several threads read a tensor and build graphs upon it; nothing here
// writes to what is shared, and no two threads take the same chunk.
unsafe impl<T> Sync for Across<T> {}

impl<T> Across<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

impl Encode {
    /// For steps of a run; `parallel` as [`Encode::parallel`] has it.
    pub fn new(config: &Config, plan: &Plan, parallel: bool) -> Self {
        let dropout = (config.tower.dropout() > 0.0).then_some(plan.dropout);
        Self { seed: config.seed, dropout, parallel }
    }

    /// The queries' vectors.
    pub fn forward(&self, model: &Model, items: &Items, batch: &Batch, step: u64) -> Encoded {
        let shared = Across((model, items, batch));
        let all = self.each(batch.chunks.len(), |at| {
            let (model, items, batch) = shared.get();
            let chunk = &batch.chunks[at];
            let inputs = batch.inputs.narrow(0, chunk.from, chunk.count);
            let read = items.read().gather(&inputs).set_requires_grad(true);
            let dropout = self.dropout.map(|draws| Dropout::new(self.seed, step, at as u64, draws));
            let vectors = model.queries(&read, chunk.layout(), batch.queries, dropout.as_ref());
            (read, vectors)
        });
        let (read, vectors) = all.into_iter().unzip();
        Encoded { read, vectors }
    }

    /// From the gradient `[queries, dim]` of the vectors those of the encoder's parameters, and
    /// that of the rows that were read `[positions, dim]`.
    pub fn backward(
        &self,
        model: &Model,
        batch: &Batch,
        encoded: &Encoded,
        gradient: &Tensor,
    ) -> (Vec<Tensor>, Tensor) {
        let parameters = model.encoder.parameters();
        let shared = Across((&parameters, batch, encoded, gradient));
        let chunks = self.each(batch.chunks.len(), |at| {
            let (parameters, batch, encoded, gradient) = shared.get();
            let chunk = &batch.chunks[at];
            let own = gradient.narrow(0, chunk.first_query, chunk.queries);
            let leaves: Vec<&Tensor> =
                parameters.iter().map(|(_, p)| p).chain([&encoded.read[at]]).collect();
            device::backward(&encoded.vectors[at], &own, &leaves)
        });
        let mut chunks = chunks.into_iter();
        let mut sums = chunks.next().expect("a batch has histories");
        let mut read = vec![sums.pop().expect("one gradient for each leaf")];
        for mut chunk in chunks {
            read.push(chunk.pop().expect("one gradient for each leaf"));
            sums.iter_mut().zip(&chunk).for_each(|(sum, own)| *sum += own);
        }
        (sums, if read.len() == 1 { read.remove(0) } else { Tensor::cat(&read, 0) })
    }

    /// `of` each of `count` chunks, in order.
    fn each<T: Send>(&self, count: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
        match self.parallel {
            true => (0..count).into_par_iter().with_max_len(1).map(&of).collect(),
            false => (0..count).map(of).collect(),
        }
    }
}
