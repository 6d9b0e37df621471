//! Metrics of the ranks of a user's targets.

use crate::config::{Metric, MetricKind};

/// One metric of one user. `ranks`: the ranks of all its targets from 1, ascending.
pub fn of_user(metric: Metric, ranks: &[u64]) -> f64 {
    let found = ranks.partition_point(|&rank| rank <= metric.at as u64);
    let hits = &ranks[..found];
    let dcg = || hits.iter().map(|&rank| discount(rank)).sum::<f64>();
    let ideal = |length: usize| (1..=length as u64).map(discount).sum::<f64>();
    match (metric.kind, hits.first()) {
        (_, None) => 0.0,
        (MetricKind::Recall, _) => found as f64 / ranks.len() as f64,
        (MetricKind::HitRate, _) => 1.0,
        (MetricKind::Ndcg, _) => dcg() / ideal(ranks.len().min(metric.at)),
        (MetricKind::NdcgPublished, _) => dcg() / ideal(found),
        (MetricKind::Mrr, Some(&first)) => 1.0 / first as f64,
    }
}

fn discount(rank: u64) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

/// Every metric at every N, from the ranks of each user.
pub struct Metrics {
    at: Vec<usize>,
    ranks: Vec<Vec<u64>>,
}

impl Metrics {
    /// Every kind of metric at each of `at`.
    pub fn new(at: &[usize]) -> Self {
        Self { at: at.to_vec(), ranks: vec![] }
    }

    /// Counts one user in, by the ascending ranks of its targets.
    pub fn add(&mut self, ranks: Vec<u64>) {
        self.ranks.push(ranks);
    }

    /// The means over users, in the order of [`MetricKind::ALL`].
    pub fn means(&self) -> Vec<(Metric, f64)> {
        let mean = |metric| {
            let sum: f64 = self.ranks.iter().map(|ranks| of_user(metric, ranks)).sum();
            (metric, sum / self.ranks.len() as f64)
        };
        let at = |&kind: &MetricKind| self.at.iter().map(move |&at| Metric { kind, at });
        MetricKind::ALL.iter().flat_map(at).map(mean).collect()
    }

    /// The number of users counted.
    pub fn users(&self) -> usize {
        self.ranks.len()
    }

    /// The ranks of each user's targets, in the order they were counted.
    pub fn into_ranks(self) -> Vec<Vec<u64>> {
        self.ranks
    }
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
        assert_eq!(at5(MetricKind::Recall, &RANKS), 2.0 / 3.0);
        assert_eq!(at5(MetricKind::HitRate, &RANKS), 1.0);
        assert!((at5(MetricKind::Ndcg, &RANKS) - dcg / ideal_of_three).abs() < 1e-12);
        assert!((at5(MetricKind::NdcgPublished, &RANKS) - dcg / ideal_of_two).abs() < 1e-12);
        assert_eq!(at5(MetricKind::Mrr, &RANKS), 1.0);
        assert_eq!(at5(MetricKind::Mrr, &[4, 5]), 0.25);
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

    #[test]
    fn means_are_over_users() {
        let mut metrics = Metrics::new(&[5]);
        metrics.add(RANKS.to_vec());
        metrics.add(vec![8]);
        let recall = Metric { kind: MetricKind::Recall, at: 5 };
        assert_eq!(value_of(&metrics.means(), recall), Some(1.0 / 3.0));
        assert_eq!(metrics.users(), 2);
    }
}
