//! Metrics of the ranks of a user's targets.

use anyhow::{Result, ensure};

use crate::config::{Metric, MetricKind, Protocol};

/// One metric of one user. `ranks`: the ranks of all its targets from 1, in any order but for
/// metrics of the last item.
pub fn of_user(metric: Metric, ranks: &[u64]) -> f64 {
    let listed = |rank: &u64| *rank <= metric.at as u64;
    let hits = || ranks.iter().copied().filter(listed);
    let found = hits().count();
    let dcg = || hits().map(discount).sum::<f64>();
    let ideal = |length: usize| (1..=length as u64).map(discount).sum::<f64>();
    let last = || ranks.last().copied().filter(listed);
    if found == 0 {
        return 0.0;
    }
    match metric.kind {
        MetricKind::Recall => found as f64 / ranks.len() as f64,
        MetricKind::HitRate => 1.0,
        MetricKind::Ndcg => dcg() / ideal(ranks.len().min(metric.at)),
        MetricKind::NdcgPublished => dcg() / ideal(found),
        MetricKind::Mrr => hits().min().map_or(0.0, reciprocal),
        MetricKind::LastRecall => f64::from(last().is_some()),
        MetricKind::LastMrr => last().map_or(0.0, reciprocal),
    }
}

fn discount(rank: u64) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

fn reciprocal(rank: u64) -> f64 {
    1.0 / rank as f64
}

/// Whether the mean of such a metric is over the positions of all sessions, not over users.
pub fn is_of_positions(protocol: Protocol, kind: MetricKind) -> bool {
    let of_one_position = matches!(kind, MetricKind::Recall | MetricKind::Ndcg | MetricKind::Mrr);
    protocol == Protocol::Positions && of_one_position
}

/// A target and where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// From 1.
    pub rank: u64,
    /// Its item id.
    pub target: u32,
    /// The length of the history that it was asked for from.
    pub history: usize,
}

/// Every metric at every N, from the ranks of each user.
pub struct Metrics {
    protocol: Protocol,
    at: Vec<usize>,
    found: Vec<Vec<Found>>,
    unrankable: usize,
}

impl Metrics {
    /// Every kind of metric of `protocol` at each of `at`.
    pub fn new(protocol: Protocol, at: &[usize]) -> Self {
        Self { protocol, at: at.to_vec(), found: vec![], unrankable: 0 }
    }

    /// Counts one user in, by all targets; those of a session's positions in the order of the session.
    pub fn add(&mut self, found: Vec<Found>) {
        self.found.push(found);
    }

    /// Counts targets that cannot be ranked: they are in no metric.
    pub fn leave_out(&mut self, targets: usize) {
        self.unrankable += targets;
    }

    /// The mean of each metric, in the order of [`Protocol::kinds`]: over users with targets; under
    /// [`Protocol::Positions`] over the positions of all sessions, those of the last item over
    /// sessions.
    pub fn means(&self) -> Vec<(Metric, f64)> {
        let ranks = |found: &Vec<Found>| found.iter().map(|one| one.rank).collect();
        let ranks: Vec<Vec<u64>> = self.found.iter().map(ranks).collect();
        let of_users = |metric| {
            let users = ranks.iter().filter(|ranks| !ranks.is_empty());
            mean(users.map(|ranks| of_user(metric, ranks)))
        };
        let of_positions = |metric| {
            let positions = ranks.iter().flat_map(|ranks| ranks.chunks(1));
            mean(positions.map(|rank| of_user(metric, rank)))
        };
        let value = |metric: Metric| match is_of_positions(self.protocol, metric.kind) {
            true => of_positions(metric),
            false => of_users(metric),
        };
        let at = |&kind: &MetricKind| self.at.iter().map(move |&at| Metric { kind, at });
        let metrics = self.protocol.kinds().iter().flat_map(at);
        metrics.map(|metric| (metric, value(metric))).collect()
    }

    /// The number of users counted: those with targets.
    pub fn users(&self) -> usize {
        self.found.iter().filter(|found| !found.is_empty()).count()
    }

    /// The same, if there is a target in it.
    ///
    /// # Errors
    /// When there is none.
    pub fn not_empty(self) -> Result<Self> {
        ensure!(
            self.targets() > 0,
            "there is nobody to rank for: no user of the part has anything to be found (with \
             evaluation.seen = \"exclude\" anything new)"
        );
        Ok(self)
    }

    /// The number of targets counted: under [`Protocol::Positions`] of predicted positions.
    pub fn targets(&self) -> usize {
        self.found.iter().map(Vec::len).sum()
    }

    /// The number of targets that cannot be ranked.
    pub fn unrankable(&self) -> usize {
        self.unrankable
    }

    /// Every target that was ranked.
    pub(super) fn found(&self) -> impl Iterator<Item = Found> {
        self.found.iter().flatten().copied()
    }

    /// The list lengths.
    pub(super) fn at(&self) -> &[usize] {
        &self.at
    }

    /// The ranks of each user's targets and their item ids, in the order they were counted.
    pub fn ranks(&self) -> (Vec<Vec<u64>>, Vec<Vec<u32>>) {
        let split = |found: &Vec<Found>| found.iter().map(|one| (one.rank, one.target)).unzip();
        self.found.iter().map(split).unzip()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::value_of;

    /// Three targets, two of them in the top 5, at ranks 1 and 4.
    const RANKS: [u64; 3] = [1, 4, 9];

    fn at5(kind: MetricKind, ranks: &[u64]) -> f64 {
        of_user(Metric { kind, at: 5 }, ranks)
    }

    #[test]
    fn hand_computed_cases() {
        let dcg = 1.0 + 1.0 / 5f64.log2();
        let ideal_of_three = 1.0 + 1.0 / 3f64.log2() + 0.5;
        let ideal_of_two = 1.0 + 1.0 / 3f64.log2();
        for ranks in [RANKS, [9, 4, 1]] {
            assert_eq!(at5(MetricKind::Recall, &ranks), 2.0 / 3.0);
            assert_eq!(at5(MetricKind::HitRate, &ranks), 1.0);
            assert!((at5(MetricKind::Ndcg, &ranks) - dcg / ideal_of_three).abs() < 1e-12);
            assert!((at5(MetricKind::NdcgPublished, &ranks) - dcg / ideal_of_two).abs() < 1e-12);
            assert_eq!(at5(MetricKind::Mrr, &ranks), 1.0);
        }
        assert_eq!(at5(MetricKind::Mrr, &[4, 5]), 0.25);
    }

    #[test]
    fn the_last_item_s_metrics_see_the_last_item() {
        assert_eq!(at5(MetricKind::LastRecall, &[1, 9, 4]), 1.0);
        assert_eq!(at5(MetricKind::LastMrr, &[1, 9, 4]), 0.25);
        assert_eq!(at5(MetricKind::LastRecall, &RANKS), 0.0);
        assert_eq!(at5(MetricKind::LastMrr, &RANKS), 0.0);
    }

    #[test]
    fn the_ideal_list_is_no_longer_than_n() {
        let at2 = Metric { kind: MetricKind::Ndcg, at: 2 };
        assert_eq!(of_user(at2, &[1, 2, 3, 4]), 1.0);
    }

    #[test]
    fn the_last_rank_in_the_list_counts_and_the_next_does_not() {
        assert_eq!(at5(MetricKind::Recall, &[5]), 1.0);
        for kind in MetricKind::ALL {
            assert_eq!(at5(kind, &[6]), 0.0);
        }
    }

    fn found(ranks: &[u64]) -> Vec<Found> {
        ranks.iter().map(|&rank| Found { rank, target: 1, history: 1 }).collect()
    }

    #[test]
    fn means_are_over_users() {
        let mut metrics = Metrics::new(Protocol::Holdout, &[5]);
        metrics.add(found(&RANKS));
        metrics.add(found(&[8]));
        let recall = Metric { kind: MetricKind::Recall, at: 5 };
        assert_eq!(value_of(&metrics.means(), recall), Some(1.0 / 3.0));
        assert_eq!((metrics.users(), metrics.targets()), (2, 4));
    }

    #[test]
    fn means_over_positions_weigh_every_position_alike() {
        let mut metrics = Metrics::new(Protocol::Positions, &[5]);
        // Reciprocal ranks in the top 5: 1/2 0 1/5 1/4, and 0.
        metrics.add(found(&[2, 7, 5, 4]));
        metrics.add(found(&[8]));
        let means = metrics.means();
        let names: Vec<String> = means.iter().map(|(metric, _)| metric.to_string()).collect();
        assert_eq!(names, ["recall@5", "ndcg@5", "mrr@5", "last-recall@5", "last-mrr@5"]);
        let ndcg = (1.0 / 3f64.log2() + 1.0 / 6f64.log2() + 1.0 / 5f64.log2()) / 5.0;
        let expected = [3.0 / 5.0, ndcg, 0.95 / 5.0, 1.0 / 2.0, 0.25 / 2.0];
        for ((metric, value), expected) in means.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{metric}: {value}");
        }
    }
}
