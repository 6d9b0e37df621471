//! What is to be found for a user, and what the user is known by.

use std::ops::Range;

use tch::Tensor;

use super::catalogue::Catalogue;
use super::metrics::Found;
use crate::batch::pad;
use crate::config::{EvaluationConfig, Protocol, Seen};
use crate::data::distinct;
use crate::host::ranking::Ranked;
use crate::model::Model;

/// A user with the items to be found.
pub struct Query<'a> {
    /// What the user is known by, oldest first.
    pub history: &'a [u32],
    /// Distinct item ids, ascending.
    pub targets: Vec<u32>,
    /// Targets besides that cannot be ranked.
    pub unrankable: usize,
    /// Who asks, where that is somebody of a dataset.
    pub user: Option<usize>,
}

/// The part of a sequence, from its start, that is the history of an evaluation; the rest are
/// its targets.
const HISTORY_SHARE: f64 = 0.8;

/// Where in a sequence of this length the targets begin: behind the first ⌊0.8·length⌋ items.
pub fn held_out_from(length: usize) -> usize {
    (length as f64 * HISTORY_SHARE) as usize
}

impl<'a> Query<'a> {
    /// The question for `targets`, distinct and ascending, from `history`.
    pub fn new(history: &'a [u32], targets: Vec<u32>) -> Self {
        Query { history, targets, unrankable: 0, user: None }
    }

    /// The same, asked by a user of a dataset.
    pub fn by(self, user: usize) -> Self {
        Self { user: Some(user), ..self }
    }

    /// What is asked for the user of `sequence` in one question: all but what
    /// [`Query::of_positions`] asks. `known`, `[items]`: what can be ranked; else everything.
    pub fn of_user(
        sequence: &'a [u32],
        window: Option<Range<usize>>,
        config: &EvaluationConfig,
        known: Option<&[bool]>,
    ) -> Self {
        let mut query = match config.protocol {
            Protocol::LeaveOneOut => Self::of_last(sequence, window, config.seen),
            Protocol::Holdout | Protocol::Positions => {
                Self::of_holdout(sequence, window, config.seen)
            }
        };
        if let Some(known) = known {
            let before = query.targets.len();
            query.targets.retain(|&id| known[id as usize - 1]);
            query.unrankable = before - query.targets.len();
        }
        query
    }

    /// [`Protocol::LeaveOneOut`]: the target is the last item of a window of a sequence, without one
    /// of the sequence; history is all before it, and there is some. No seen target where seen items
    /// are left out.
    fn of_last(sequence: &'a [u32], window: Option<Range<usize>>, seen: Seen) -> Self {
        let end = window.map_or(sequence.len(), |window| window.end);
        match sequence[..end].split_last() {
            Some((&last, history)) if !history.is_empty() => {
                let mut query = Query::new(history, vec![last]);
                if !query.is_asked(seen) {
                    query.targets.clear();
                }
                query
            }
            _ => Query::new(&sequence[..end], vec![]),
        }
    }

    /// [`Protocol::Holdout`]: targets are the distinct items of a window of a
    /// sequence, without one of what is behind its first ⌊0.8·len⌋ items; history is what stands
    /// before. Where seen items are left out, so are seen targets, and there may be none.
    pub(super) fn of_holdout(
        sequence: &'a [u32],
        window: Option<Range<usize>>,
        seen: Seen,
    ) -> Self {
        let window = window.unwrap_or(held_out_from(sequence.len())..sequence.len());
        let (history, mut targets) = (&sequence[..window.start], distinct(&sequence[window]));
        if seen == Seen::Exclude {
            let known = distinct(history);
            targets.retain(|id| known.binary_search(id).is_err());
        }
        Query::new(history, targets)
    }

    /// [`Protocol::Positions`]: of the `latest` last items of a session, its first
    /// left out, each from all those before it; see [`Query::is_asked`].
    pub fn of_positions(session: &'a [u32], latest: usize) -> impl Iterator<Item = Query<'a>> {
        let first = session.len().saturating_sub(latest).max(1);
        (first..session.len()).map(|at| Query::new(&session[..at], vec![session[at]]))
    }

    /// The question that a user gets one list for: with the history of [`Query::of_user`], under
    /// [`Protocol::Positions`] of the last position; nothing is to be found.
    pub fn for_list(
        sequence: &'a [u32],
        window: Option<Range<usize>>,
        config: &EvaluationConfig,
    ) -> Self {
        let query = match config.protocol {
            Protocol::Holdout => Self::of_holdout(sequence, window, config.seen),
            Protocol::Positions | Protocol::LeaveOneOut => {
                Self::of_last(sequence, window, config.seen)
            }
        };
        Query::new(query.history, vec![])
    }

    /// The `latest` items of the history. Queries with about as many are encoded together: all are
    /// padded to the longest.
    pub(super) fn latest(&self, latest: usize) -> &'a [u32] {
        &self.history[self.history.len().saturating_sub(latest)..]
    }

    /// `[queries, dim]`: the users' vectors, of which the encoder reads the `latest` items of each
    /// history.
    pub(super) fn vectors(model: &Model, queries: &[Self], latest: usize) -> Tensor {
        let read: Vec<&[u32]> = queries.iter().map(|query| query.latest(latest)).collect();
        let features = model.user_features.as_ref();
        let features = features.map(|own| own.vectors_of(queries.iter().map(|query| query.user)));
        model.users(&pad(&read).to_device(model.device()), features.as_ref())
    }

    /// Whether a query for one target asks for anything: not for a seen item where these are left
    /// out.
    pub fn is_asked(&self, seen: Seen) -> bool {
        seen == Seen::Keep || !self.targets.iter().any(|target| self.history.contains(target))
    }

    /// The targets with their ranks, in the order of both.
    pub(super) fn found(&self, ranks: &[u64]) -> Vec<Found> {
        let history = self.history.len();
        let one = |(&target, &rank)| Found { rank, target, history };
        self.targets.iter().zip(ranks).map(one).collect()
    }

    /// Distinct items of the history, if these are left out; none of them is a target then.
    pub(super) fn hidden(&self, seen: Seen) -> Vec<u32> {
        match seen {
            Seen::Keep => vec![],
            Seen::Exclude => distinct(self.history),
        }
    }

    pub(super) fn ranked(&self, items: &Catalogue, seen: Seen) -> Ranked<'_> {
        let (hidden, mut gains) = (self.hidden(seen), items.gains(self.history));
        gains.retain(|(item, _)| hidden.binary_search(item).is_err());
        Ranked { targets: &self.targets, hidden, gains }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_seen_items_are_left_out_so_are_seen_targets() {
        let sequence = [4, 2, 4, 7, 2, 9, 7, 9];
        let holdout = |seen| Query::of_holdout(&sequence, Some(4..8), seen);
        assert_eq!(holdout(Seen::Keep).targets, [2, 7, 9]);
        assert!(holdout(Seen::Keep).hidden(Seen::Keep).is_empty());
        assert_eq!(holdout(Seen::Exclude).targets, [9]);
        assert_eq!(holdout(Seen::Exclude).hidden(Seen::Exclude), [2, 4, 7]);
        let nothing_new = Query::of_holdout(&sequence, Some(2..3), Seen::Exclude);
        assert_eq!((nothing_new.history.len(), nothing_new.targets), (2, vec![]));
        let asked = Query::of_positions(&sequence, 100).map(|query| query.is_asked(Seen::Exclude));
        assert_eq!(asked.collect::<Vec<_>>(), [true, false, true, false, true, false, false]);
        assert!(Query::of_positions(&sequence, 100).all(|query| query.is_asked(Seen::Keep)));
    }

    #[test]
    fn leave_one_out_asks_for_the_last_item_of_a_window() {
        let sequence = [4, 2, 4, 7, 2, 9];
        let asked = |window, seen| {
            let config = EvaluationConfig { seen, ..EvaluationConfig::of(Protocol::LeaveOneOut) };
            let known = [true, true, true, true, true, true, false, true, true];
            let query = Query::of_user(&sequence, window, &config, Some(&known));
            (query.history, query.targets, query.unrankable)
        };
        let (keep, exclude) = (Seen::Keep, Seen::Exclude);
        for seen in [keep, exclude] {
            assert_eq!(asked(None, seen), (&sequence[..5], vec![9], 0));
            // Nothing is known of 7, and nothing stands before the first.
            assert_eq!(asked(Some(3..4), seen), (&sequence[..3], vec![], 1));
            assert_eq!(asked(Some(0..1), seen), (&sequence[..1], vec![], 0));
        }
        assert_eq!(asked(Some(1..5), keep), (&sequence[..4], vec![2], 0));
        assert_eq!(asked(Some(1..5), exclude), (&sequence[..4], vec![], 0));
    }
}
