//! Comparisons of models over the positions of the test sessions, from the ranks that runs left.

use anyhow::{Context, Result, ensure};

use crate::config::{Metric, MetricKind};
use crate::eval::of_user;
use crate::report::shared::paired_difference::{
    PairedDifference, common_seeds, difference_noise, seed_noise,
};
use crate::report::shared::statistics::Interval;
use crate::report::shared::study::{Study, Variant};
use crate::train::{RunFolder, TargetRanks};

/// The metrics that models are compared in: Recall and MRR at 20 as in the paper, else at the
/// nearest N measured.
pub fn deciding(study: &Study) -> Vec<Metric> {
    let at = study.nearest_at(20);
    let kinds = [MetricKind::Recall, MetricKind::Mrr];
    at.map_or(vec![], |at| kinds.map(|kind| Metric { kind, at }).into())
}

/// One run's metric, session by session.
struct Run {
    sessions: Vec<u32>,
    /// `[sessions]`: the positions that were predicted.
    counts: Vec<f64>,
    /// `[sessions]`: the sum of the metric over them.
    sums: Vec<f64>,
}

impl Run {
    fn load(variant: &Variant, seed: u64, metric: Metric) -> Result<Self> {
        let point = variant.done().find(|p| p.config.seed == seed).context("no such seed")?;
        let TargetRanks { users: sessions, ranks } = RunFolder::open(&point.run)?.ranks()?;
        let sum = |ranks: &Vec<u64>| ranks.chunks(1).map(|rank| of_user(metric, rank)).sum();
        Ok(Self {
            sessions,
            counts: ranks.iter().map(|ranks| ranks.len() as f64).collect(),
            sums: ranks.iter().map(sum).collect(),
        })
    }
}

/// The mean of Recall or MRR over all positions of the test sessions, that of the first minus that
/// of the second of `pair`, over the seeds that both have.
///
/// # Errors
/// Says why they cannot be compared: no common seed, no ranks, other test sessions.
pub fn compare(study: &Study, pair: [&Variant; 2], metric: Metric) -> Result<PairedDifference> {
    let seeds = common_seeds(&pair);
    ensure!(!seeds.is_empty(), "no seed is done for both");
    let mut counts: Vec<f64> = vec![];
    let mut of_seeds: Vec<Vec<f64>> = vec![];
    let mut sessions: Option<Vec<u32>> = None;
    for &seed in &seeds {
        let [a, b] = [Run::load(pair[0], seed, metric)?, Run::load(pair[1], seed, metric)?];
        let like = sessions.get_or_insert_with(|| a.sessions.clone());
        if counts.is_empty() {
            counts.clone_from(&a.counts);
        }
        for run in [&a, &b] {
            ensure!(
                *like == run.sessions && counts == run.counts,
                "they were tested on other positions"
            );
        }
        of_seeds.push(a.sums.iter().zip(&b.sums).map(|(x, y)| x - y).collect());
    }
    let mean = |session: usize| {
        of_seeds.iter().map(|all| all[session]).sum::<f64>() / of_seeds.len() as f64
    };
    let means: Vec<f64> = (0..counts.len()).map(mean).collect();
    let interval = Interval::of_groups(&means, &counts).context("fewer than two test sessions")?;
    let pooled = seed_noise(study.variants.iter(), metric);
    let noise = difference_noise(&pair, metric, pooled);
    let of_seeds: Vec<f64> = of_seeds.iter().map(|sessions| sessions.iter().sum()).collect();
    Ok(PairedDifference::new(interval, noise, counts.len(), &of_seeds))
}
