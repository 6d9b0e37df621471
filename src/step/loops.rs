//! The step in loops over host memory.

use tch::Tensor;

use super::encode::{Encode, EncoderGradients, of_users};
use super::objective::{HostObjective, Objective};
use super::{Plan, Step};
use crate::batch::Batch;
use crate::config::{Config, Reject};
use crate::device::memory;
use crate::host::candidates::{
    CandidateGradients, CandidateLoops, Gains, RowScores, ScoreLoss, ScoredRows, Slots,
};
use crate::host::mean_pool::{MeanPoolBatch, MeanPoolGradients, MeanPoolLoops, MeanPoolWeights};
use crate::host::row_loss::RowLoss;
use crate::model::{Items, Model, Repeats, Scoring};
use crate::optim::{Gradients, RowGradient};
use crate::profile::Profile;

/// Gradients by host loops.
pub enum HostStep {
    /// The encoder with autograd, chunk by chunk, candidates by loops.
    Candidates { encode: Encode, candidates: Box<HostCandidates> },
    /// The mean-pool encoder and the loss in one.
    MeanPool(Box<MeanPoolLoops>),
}

impl HostStep {
    /// For any encoder and any loss; `log_counts` `[items + 1]`.
    pub fn candidates(config: &Config, plan: &Plan, log_counts: Option<Tensor>) -> Self {
        let candidates = Box::new(HostCandidates::new(config, log_counts));
        Self::Candidates { encode: Encode::new(config, plan, true), candidates }
    }

    /// For what [`super::StepPath::MeanPoolLoops`] is chosen for.
    ///
    /// # Panics
    /// For a loss that is no function of rows.
    pub fn mean_pool(config: &Config) -> Self {
        let loss = RowLoss::new(config).expect("the plan asks for loops of such losses only");
        let factor = Scoring::new(&config.tower).factor();
        let loops = MeanPoolLoops::new(loss, factor, Scoring::EPSILON);
        Self::MeanPool(Box::new(loops))
    }
}

impl Step for HostStep {
    fn gradients(
        &mut self,
        model: &Model,
        items: &Items,
        batch: &Batch,
        step: u64,
        profile: &mut Profile,
    ) -> Gradients {
        match self {
            Self::Candidates { encode, candidates } => {
                let mut lap = profile.lap();
                let encoded = encode.forward(model, items, batch, step);
                profile.add("encoder", &mut lap);
                let own = candidates.run((model, items), &encoded.vectors(), batch);
                profile.add("scores and loss", &mut lap);
                let EncoderGradients { mut parameters, read, features } =
                    encode.backward(model, batch, &encoded, &own.vectors);
                let scored = Tensor::from_slice(&own.ids);
                let (read, scored) = ((&batch.inputs, &read), (&scored, &own.rows));
                let mut tables = items.row_gradients(read, scored);
                tables.extend(features.and_then(|of_queries| of_users(model, batch, &of_queries)));
                let repeats = batch.repeats.iter();
                parameters.extend(repeats.map(|all| Repeats::gradient(&all.buckets, &own.gains)));
                profile.add("encoder backward", &mut lap);
                Gradients { loss: Tensor::from(own.loss as f32), parameters, tables }
            }
            Self::MeanPool(loops) => mean_pool(loops, (model, items), batch, profile),
        }
    }
}

fn mean_pool(
    loops: &mut MeanPoolLoops,
    (model, items): (&Model, &Items),
    batch: &Batch,
    profile: &mut Profile,
) -> Gradients {
    let table = items.read();
    let (weights, parameters) = (table.weights(), model.encoder.parameters());
    let weights = MeanPoolWeights {
        table: memory::floats(&weights),
        dim: table.dim() as usize,
        kernel: memory::floats(&parameters[0].1),
        bias: memory::floats(&parameters[1].1),
    };
    let rows = &batch.rows[0];
    let (inputs, rest) = memory::ids(rows.ids()).split_at(batch.inputs.numel());
    let (targets, negatives) = rest.split_at(batch.targets.numel());
    let hits = &batch.hits;
    let ids = MeanPoolBatch { items: inputs, starts: &batch.starts, targets, negatives, hits };
    let catalogue = model.items.len() as f64;
    let MeanPoolGradients { loss, encoder, values, sources } =
        loops.run(&weights, &ids, catalogue, profile);
    Gradients {
        loss: Tensor::from(loss as f32),
        parameters: encoder.into(),
        tables: vec![RowGradient { rows: rows.clone(), values, sources: Some(sources) }],
    }
}

/// From the queries' vectors to the loss and its gradients, in loops over host memory.
pub struct HostCandidates {
    objective: Objective,
    /// The loss in loops, where there are some for it.
    rows: Option<RowLoss>,
    scoring: Scoring,
    reject: Reject,
    /// `[items + 1]`: for the log-q correction.
    log_counts: Option<Tensor>,
    loops: CandidateLoops,
}

impl HostCandidates {
    /// That of a configuration.
    pub fn new(config: &Config, log_counts: Option<Tensor>) -> Self {
        let top_k = Some(config.sampling.top_k).filter(|&k| k > 0);
        Self {
            objective: Objective::new(config),
            rows: RowLoss::new(config),
            scoring: Scoring::new(&config.tower),
            reject: config.sampling.reject,
            log_counts,
            loops: CandidateLoops::new(top_k),
        }
    }

    /// The same with other loops.
    #[cfg(test)]
    pub fn with(self, loops: CandidateLoops) -> Self {
        Self { loops, ..self }
    }

    /// Loss and gradients at `vectors` `[queries, dim]`, rows of the table being in the present.
    pub fn run(
        &mut self,
        (model, items): (&Model, &Items),
        vectors: &Tensor,
        batch: &Batch,
    ) -> CandidateGradients {
        let table = items.scored();
        let weights = table.weights();
        let rows = ScoredRows {
            table: memory::floats(&weights),
            dim: table.dim() as usize,
            ids: memory::ids(&batch.scored),
            factor: self.scoring.factor() as f32,
            unit: self.scoring.unit_epsilon().map(|epsilon| epsilon as f32),
        };
        let own = batch.own.contiguous();
        let values = match (&model.repeats, &batch.repeats) {
            (Some(repeats), Some(batch)) => {
                let additions = repeats.of_scores();
                batch.buckets.iter().map(|own| additions.at(*own)).collect()
            }
            _ => vec![],
        };
        let gains = batch.repeats.as_ref().map(|own| Gains {
            starts: &own.starts,
            slots: &own.slots,
            values: &values,
        });
        let slots = Slots {
            targets: memory::ids(&batch.targets),
            history: memory::ids(&batch.history),
            shared: memory::ids(&batch.shared),
            of_history: memory::ids(&batch.of_history),
            of_query: memory::ids(&batch.of_query),
            each: [&batch.of_history, &batch.of_query].map(|of| of.size()[1] as usize),
            own: memory::ids(&own),
            reject: self.reject,
            gains: gains.unwrap_or_default(),
        };
        let log_counts =
            self.log_counts.as_ref().map(|all| all.index_select(0, &batch.scored_items()));
        let catalogue = model.items.len() as f64;
        let loss: Box<dyn ScoreLoss> = match &self.rows {
            Some(loss) => Box::new(RowScores { loss, catalogue }),
            None => Box::new(HostObjective { objective: &self.objective, catalogue }),
        };
        let vectors = vectors.contiguous();
        let log_counts = log_counts.as_ref().map(memory::floats);
        self.loops.run(&rows, memory::floats(&vectors), slots, log_counts, &*loss)
    }
}
