//! The encoder's way forward and back, chunk by chunk; on a host several threads take the chunks.

use rayon::prelude::*;
use tch::Tensor;

use super::Plan;
use crate::batch::Batch;
use crate::config::Config;
use crate::device;
use crate::model::{Draws, Dropout, Items, Model, Queries};
use crate::optim::RowGradient;

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
    /// `[queries, dim]`: what users' features add, leaves likewise; none where there are none.
    features: Vec<Tensor>,
    /// `[queries, dim]`
    vectors: Vec<Tensor>,
}

/// What a batch says about what the encoder was given.
pub struct EncoderGradients {
    /// Of the encoder's parameters.
    pub parameters: Vec<Tensor>,
    /// `[positions, dim]`: of the rows that were read.
    pub read: Tensor,
    /// `[queries, dim]`: of what users' features add, where there are such.
    pub features: Option<Tensor>,
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
        let features = of_queries(model, batch);
        let shared = Across((model, items, batch, features));
        let all = self.each(batch.chunks.len(), |at| {
            let (model, items, batch, features) = shared.get();
            let chunk = &batch.chunks[at];
            let inputs = batch.inputs.narrow(0, chunk.from, chunk.count);
            let read = items.read().gather(&inputs).set_requires_grad(true);
            let dropout =
                self.dropout.map(|draws| Dropout::new(self.seed, step, chunk.number, draws));
            let features = features
                .as_ref()
                .map(|all| all.narrow(0, chunk.first_query, chunk.queries).set_requires_grad(true));
            let (layout, dropout) = (chunk.layout(), dropout.as_ref());
            let vectors = model.queries(&read, layout, batch.queries, dropout, features.as_ref());
            (read, features, vectors)
        });
        let mut encoded = Encoded { read: vec![], features: vec![], vectors: vec![] };
        for (read, features, vectors) in all {
            encoded.read.push(read);
            encoded.features.extend(features);
            encoded.vectors.push(vectors);
        }
        encoded
    }

    /// From the gradient `[queries, dim]` of the vectors those of all that they were made of.
    pub fn backward(
        &self,
        model: &Model,
        batch: &Batch,
        encoded: &Encoded,
        gradient: &Tensor,
    ) -> EncoderGradients {
        let parameters = model.encoder.parameters();
        let shared = Across((&parameters, batch, encoded, gradient));
        let chunks = self.each(batch.chunks.len(), |at| {
            let (parameters, batch, encoded, gradient) = shared.get();
            let chunk = &batch.chunks[at];
            let own = gradient.narrow(0, chunk.first_query, chunk.queries);
            let leaves = parameters.iter().map(|(_, p)| p).chain([&encoded.read[at]]);
            let leaves = leaves.chain(encoded.features.get(at)).collect::<Vec<_>>();
            device::backward(&[&encoded.vectors[at]], &[&own], &leaves)
        });
        let with_features = !encoded.features.is_empty();
        let (mut sums, mut read, mut features) = (vec![], vec![], vec![]);
        for mut chunk in chunks {
            let mut last = || chunk.pop().expect("one gradient for each leaf");
            features.extend(with_features.then(&mut last));
            read.push(last());
            match sums.is_empty() {
                true => sums = chunk,
                false => {
                    sums.iter_mut().zip(&chunk).for_each(|(sum, own): (&mut Tensor, _)| *sum += own)
                }
            }
        }
        let whole = |mut parts: Vec<Tensor>| match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(&parts, 0),
        };
        EncoderGradients {
            parameters: sums,
            read: whole(read),
            features: with_features.then(|| whole(features)),
        }
    }

    /// `of` each of `count` chunks, in order.
    fn each<T: Send>(&self, count: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
        match self.parallel {
            true => (0..count).into_par_iter().with_max_len(1).map(&of).collect(),
            false => (0..count).map(of).collect(),
        }
    }
}

/// `[queries, dim]`: what the features of each query's user add, where there are such.
fn of_queries(model: &Model, batch: &Batch) -> Option<Tensor> {
    let (features, users) = (model.user_features.as_ref()?, batch.users.as_ref()?);
    let of_histories = features.vectors(users);
    Some(match batch.queries {
        Queries::Every => of_histories.index_select(0, &batch.history),
        Queries::Last => of_histories,
    })
}

/// The gradient of the table of users' features from that of what they add, `[queries, dim]`.
pub fn of_users(model: &Model, batch: &Batch, of_queries: &Tensor) -> Option<RowGradient> {
    let (features, users) = (model.user_features.as_ref()?, batch.users.as_ref()?);
    let of_histories = match batch.queries {
        Queries::Every => {
            let size = [batch.histories(), of_queries.size()[1]];
            let zeros = Tensor::zeros(size, (of_queries.kind(), of_queries.device()));
            zeros.index_add(0, &batch.history, of_queries)
        }
        Queries::Last => of_queries.contiguous(),
    };
    Some(features.gradient(users, &of_histories))
}
