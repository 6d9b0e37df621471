//! Exact evaluation: every target's rank among the whole catalogue, and the metrics of ranks.

mod catalogue;
mod metrics;
mod positions;
mod rank;
mod scores;

use anyhow::{Result, ensure};
use tch::Device;

use crate::batch::pad;
use crate::config::{EvaluationConfig, Metric, Protocol};
use crate::data::Sequences;
use crate::device::ComputePath;
use crate::model::Model;

pub use catalogue::Catalogue;
pub use metrics::{Metrics, of_user};
pub use positions::{PositionEvaluation, PositionVectors};
pub use rank::{Query, ranks};
pub use scores::{ScoreBlocks, Scorer};

/// What is evaluated on: the last fifth of each of these users' sequences.
pub struct Evaluation<'a> {
    pub sequences: &'a Sequences,
    pub users: Vec<usize>,
    pub config: &'a EvaluationConfig,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    pub device: Device,
    /// How the catalogue is ranked.
    pub path: ComputePath,
}

impl Evaluation<'_> {
    /// The mean over users of every metric at every N. `progress` hears how many users more are
    /// done.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn run(&self, model: &Model, progress: &mut dyn FnMut(u64)) -> Result<Metrics> {
        let _guard = tch::no_grad_guard();
        ensure!(!self.users.is_empty(), "there are no users to rank for");
        let items = Catalogue::of(model, self.path).checked()?;
        let mut metrics = Metrics::new(Protocol::Holdout, &self.config.at);
        for users in self.users.chunks(items.users_a_block()) {
            let queries: Vec<Query> =
                users.iter().map(|&user| Query::of_holdout(self.sequences.get(user))).collect();
            let latest: Vec<&[u32]> = queries
                .iter()
                .map(|q| &q.history[q.history.len().saturating_sub(self.history)..])
                .collect();
            let vectors = model.users(&pad(&latest).to_device(self.device));
            let ranks = ranks(&vectors, &items, &queries, self.config.seen)?;
            for (query, ranks) in queries.iter().zip(ranks) {
                let mut found: Vec<(u64, u32)> =
                    ranks.into_iter().zip(query.targets.iter().copied()).collect();
                found.sort_unstable();
                let (ranks, targets) = found.into_iter().unzip();
                metrics.add(ranks, targets);
            }
            progress(users.len() as u64);
        }
        Ok(metrics)
    }
}

/// The value of one metric in a list of them.
pub fn value_of(values: &[(Metric, f64)], metric: Metric) -> Option<f64> {
    values.iter().find(|(m, _)| *m == metric).map(|(_, value)| *value)
}
