//! Evaluation of session models: every item of a session but its first, each from those before it.

use std::ops::Range;

use anyhow::{Result, ensure};
use tch::Tensor;

use super::catalogue::Catalogue;
use super::metrics::{Found, Metrics};
use super::query::Query;
use super::rank::ranks;
use crate::config::{EvaluationConfig, Protocol};
use crate::data::Sequences;
use crate::device::ComputePath;
use crate::model::{Layout, Model, Queries};

/// Positions that are worked through at once, padding included: what the activations of a session
/// model take is bounded by this, whatever the sessions' lengths.
const POSITIONS: usize = 8192;

/// A model that predicts the next item at every position of a session.
pub trait PositionVectors {
    /// `[events, dim]`, without gradients, on the model's device: session by session, oldest first,
    /// the vector whose inner products with [`PositionVectors::items`] rank the catalogue for
    /// `session[k + 1]`, made from `session[..=k]` and, by a Transformer, from how many items follow; a
    /// session has one less than it has items.
    ///
    /// `users`: whose the sessions are, in a dataset. They have about the same length, at least two items, and at most one item more than
    /// the model reads.
    fn positions(&self, users: &[usize], sessions: &[&[u32]]) -> Tensor;

    /// What is ranked, by `path`. Its vectors may be wider than the item table's rows: an output bias is one
    /// more column here, against a 1 in the vectors of positions.
    fn items(&self, path: ComputePath) -> Catalogue;
}

impl PositionVectors for Model {
    fn positions(&self, users: &[usize], sessions: &[&[u32]]) -> Tensor {
        let _guard = tch::no_grad_guard();
        let device = self.device();
        let read = |session: &&[u32]| session[..session.len() - 1].to_vec();
        let ids: Vec<i64> = sessions.iter().flat_map(read).map(i64::from).collect();
        let lengths: Vec<usize> = sessions.iter().map(|session| session.len() - 1).collect();
        let rows = self.items.read_of(&Tensor::from_slice(&ids).to_device(device));
        let of_positions = users
            .iter()
            .zip(&lengths)
            .flat_map(|(&user, &length)| std::iter::repeat_n(Some(user), length));
        let features = self.user_features.as_ref().map(|own| own.vectors_of(of_positions));
        let layout = Layout::packed(&lengths, device);
        self.queries(&rows, &layout, Queries::Every, None, features.as_ref())
    }

    fn items(&self, path: ComputePath) -> Catalogue {
        Catalogue::of(self, path)
    }
}

/// What a session model is evaluated on: all positions of these users' sequences.
pub struct PositionEvaluation<'a> {
    pub sequences: &'a Sequences,
    pub users: Vec<usize>,
    /// `[users]`: where the items that are to be found are, each from all before it; `None`:
    /// everywhere.
    pub windows: Option<Vec<Range<usize>>>,
    pub config: &'a EvaluationConfig,
    /// The latest items that the model reads. Sessions are cut to their latest `history + 1`, as in
    /// the published evaluation: of a longer one only the latest `history` items are to be found.
    pub history: usize,
    /// How the catalogue is ranked.
    pub path: ComputePath,
}

impl PositionEvaluation<'_> {
    /// The ranks of all positions, and their metrics at every N. No session is left out; one with a
    /// single item has no position and counts for nothing. `progress` hears how many users more are
    /// done.
    ///
    /// # Errors
    /// When a score is not a number, or no session has two items; those of `progress`.
    pub fn run(
        &self,
        model: &dyn PositionVectors,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Metrics> {
        let _guard = tch::no_grad_guard();
        let items = model.items(self.path).checked()?;
        let mut order: Vec<usize> = (0..self.users.len()).collect();
        order.sort_by_key(|&at| self.session(at).len());
        let first = order.partition_point(|&at| self.session(at).len() < 2);
        ensure!(first < order.len(), "there is no session of two items or more to rank for");
        let mut all = vec![vec![]; self.users.len()];
        progress(first as u64)?;
        let mut rest = &order[first..];
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.fitting(rest));
            for (at, found) in chunk.iter().zip(self.found(model, &items, chunk)?) {
                all[*at] = found;
            }
            progress(chunk.len() as u64)?;
            rest = later;
        }
        let mut metrics = Metrics::new(Protocol::Positions, &self.config.at);
        all.into_iter().for_each(|found| metrics.add(found));
        metrics.not_empty()
    }

    /// Where the items to be found are in the sequence of the user at this place.
    fn window(&self, at: usize) -> Range<usize> {
        match &self.windows {
            Some(windows) => windows[at].clone(),
            None => 0..self.sequences.get(self.users[at]).len(),
        }
    }

    /// The part of a session that is evaluated: up to the end of its window.
    fn session(&self, at: usize) -> &[u32] {
        let end = self.window(at).end;
        &self.sequences.get(self.users[at])[end.saturating_sub(self.history + 1)..end]
    }

    /// How many of the sessions, from the first on and by rising length, are worked through at once.
    fn fitting(&self, sessions: &[usize]) -> usize {
        let fits = |(place, at): &(usize, &usize)| {
            (place + 1) * (self.session(**at).len() - 1) <= POSITIONS
        };
        sessions.iter().enumerate().take_while(fits).count().max(1)
    }

    /// For each session its items that are asked for, with their ranks, in their order.
    fn found(
        &self,
        model: &dyn PositionVectors,
        items: &Catalogue,
        chunk: &[usize],
    ) -> Result<Vec<Vec<Found>>> {
        let sessions: Vec<&[u32]> = chunk.iter().map(|&at| self.session(at)).collect();
        // Of each position its query, if it is asked for, and of each session how many are.
        let (mut queries, mut asked, mut counts) = (vec![], vec![], vec![]);
        let mut positions = 0;
        for &at in chunk {
            let (whole, window) = (self.sequences.get(self.users[at]), self.window(at));
            let before = queries.len();
            for query in Query::of_positions(&whole[..window.end], self.history) {
                if query.history.len() >= window.start && query.is_asked(self.config.seen) {
                    queries.push(query);
                    asked.push(positions);
                }
                positions += 1;
            }
            counts.push(queries.len() - before);
        }
        let users: Vec<usize> = chunk.iter().map(|&at| self.users[at]).collect();
        let mut vectors = model.positions(&users, &sessions);
        ensure!(
            vectors.size() == [positions, items.dim()],
            "the model gives vectors {:?} for {positions} positions and items of width {}",
            vectors.size(),
            items.dim()
        );
        if asked.len() < positions as usize {
            vectors =
                vectors.index_select(0, &Tensor::from_slice(&asked).to_device(vectors.device()));
        }
        let block = items.users_a_block();
        let mut flat = vec![];
        for (queries, vectors) in queries.chunks(block).zip(vectors.split(block as i64, 0)) {
            let ranks = ranks(&vectors, items, queries, self.config.seen)?;
            flat.extend(queries.iter().zip(&ranks).flat_map(|(query, ranks)| query.found(ranks)));
        }
        let mut flat = flat.into_iter();
        Ok(counts.iter().map(|&count| flat.by_ref().take(count).collect()).collect())
    }
}

#[cfg(test)]
#[path = "positions_tests.rs"]
mod tests;
