//! Exact evaluation: every target's rank among the whole catalogue, and the metrics of ranks.

mod catalogue;
mod cold;
mod groups;
mod lists;
mod metrics;
mod positions;
mod query;
mod rank;
mod scores;

use std::ops::Range;

use anyhow::{Result, ensure};

use crate::config::{EvaluationConfig, Metric};
use crate::data::Sequences;
use crate::device::ComputePath;
use crate::model::Model;

pub use catalogue::{BYTES_A_SCORE, Catalogue};
pub use cold::{ColdEvaluation, ColdRecall, ColdShares};
pub use groups::{Group, Groups};
pub use lists::{LISTED, Listing, Lists, spread};
pub use metrics::{Found, Metrics, is_of_positions, of_user};
pub use positions::{PositionEvaluation, PositionVectors};
pub use query::{Query, held_out_from};
pub use rank::ranks;
pub use scores::{ScoreBlocks, Scorer};

/// What is evaluated on: one question for each of these users, see [`Query::of_user`].
pub struct Evaluation<'a> {
    pub sequences: &'a Sequences,
    pub users: Vec<usize>,
    /// `[users]`: where the targets are; `None`: where the protocol says.
    pub windows: Option<Vec<Range<usize>>>,
    /// `[items]`: what can be ranked; `None`: everything.
    pub known: Option<Vec<bool>>,
    pub config: &'a EvaluationConfig,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    /// How the catalogue is ranked.
    pub path: ComputePath,
}

impl Evaluation<'_> {
    /// The mean over users of every metric at every N. `progress` hears how many users more are
    /// done.
    ///
    /// # Errors
    /// When a score is not a number, or no user has a target; those of `progress`.
    pub fn run(
        &self,
        model: &Model,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Metrics> {
        let _guard = tch::no_grad_guard();
        ensure!(!self.users.is_empty(), "there are no users to rank for");
        let items = Catalogue::of(model, self.path).checked()?;
        let mut metrics = Metrics::new(self.config.protocol, &self.config.at);
        let mut asked: Vec<(usize, Query)> =
            (0..self.users.len()).map(|at| (at, self.query(at))).collect();
        asked.sort_by_key(|(_, query)| query.latest(self.history).len());
        let (order, queries): (Vec<usize>, Vec<Query>) = asked.into_iter().unzip();
        let mut all = vec![(vec![], 0); self.users.len()];
        let block = items.users_a_block();
        for (users, queries) in order.chunks(block).zip(queries.chunks(block)) {
            let vectors = Query::vectors(model, queries, self.history);
            let ranks = ranks(&vectors, &items, queries, self.config.seen)?;
            for ((at, query), ranks) in users.iter().zip(queries).zip(ranks) {
                let mut found = query.found(&ranks);
                found.sort_unstable_by_key(|one| (one.rank, one.target));
                all[*at] = (found, query.unrankable);
            }
            progress(users.len() as u64)?;
        }
        for (found, unrankable) in all {
            metrics.add(found);
            metrics.leave_out(unrankable);
        }
        metrics.not_empty()
    }

    /// History and, each once, targets of the user at this place.
    fn query(&self, at: usize) -> Query<'_> {
        let window = self.windows.as_ref().map(|windows| windows[at].clone());
        let sequence = self.sequences.get(self.users[at]);
        Query::of_user(sequence, window, self.config, self.known.as_deref()).by(self.users[at])
    }
}

/// The value of one metric in a list of them.
pub fn value_of(values: &[(Metric, f64)], metric: Metric) -> Option<f64> {
    values.iter().find(|(m, _)| *m == metric).map(|(_, value)| *value)
}

#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod ranks_tests;
#[cfg(test)]
mod repeats_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_a_window_is_history_and_what_is_behind_it_nothing() {
        let items = vec![9, 1, 2, 3, 2, 3, 1, 4, 5, 6, 5, 6];
        let sequences = Sequences { items, offsets: vec![0, 1, 11, 12] };
        let config = EvaluationConfig::default();
        let asked = |window: Option<Range<usize>>| {
            let evaluation = Evaluation {
                sequences: &sequences,
                users: vec![1],
                windows: window.map(|window| vec![window]),
                known: None,
                config: &config,
                history: 2,
                path: ComputePath::HostLoops,
            };
            let query = evaluation.query(0);
            (query.history.to_vec(), query.targets)
        };
        assert_eq!(asked(Some(3..7)), (vec![1, 2, 3], vec![1, 2, 3, 4]));
        assert_eq!(asked(Some(8..9)).1, [6]);
        assert_eq!(asked(None), (vec![1, 2, 3, 2, 3, 1, 4, 5], vec![5, 6]));
    }
}
