//! Comparisons of variants over the same test users or sessions, from the ranks that runs left.

use anyhow::{Context, Result, ensure};

use super::paired_difference::{PairedDifference, common_seeds, difference_noise, seed_noise};
use super::statistics::Interval;
use super::study::{Study, Variant};
use crate::config::Metric;
use crate::eval::{is_of_positions, of_user};
use crate::train::{RunFolder, TargetRanks};

/// One run's metric, user by user or session by session.
struct Run {
    users: Vec<u32>,
    /// `[users]`: 1, or the positions that were predicted.
    counts: Vec<f64>,
    /// `[users]`: the metric, or its sum over them.
    sums: Vec<f64>,
}

impl Run {
    fn load(variant: &Variant, seed: u64, metric: Metric) -> Result<Self> {
        let point = variant.done().find(|p| p.config.seed == seed).context("no such seed")?;
        let TargetRanks { users, ranks } = RunFolder::open(&point.run)?.ranks()?;
        let positions = is_of_positions(variant.config.evaluation.protocol, metric.kind);
        let count = |ranks: &Vec<u64>| match positions {
            true => ranks.len() as f64,
            false => f64::from(!ranks.is_empty()),
        };
        let sum = |ranks: &Vec<u64>| match positions {
            true => ranks.chunks(1).map(|rank| of_user(metric, rank)).sum(),
            false => of_user(metric, ranks),
        };
        Ok(Self {
            users,
            counts: ranks.iter().map(count).collect(),
            sums: ranks.iter().map(sum).collect(),
        })
    }
}

/// The mean of `metric` over the test users, or over all positions of the test sessions, that of the
/// first minus that of the second of `pair`, over the seeds that both have.
///
/// # Errors
/// Says why they cannot be compared: no common seed, no ranks, other test users or positions.
pub fn compare(study: &Study, pair: [&Variant; 2], metric: Metric) -> Result<PairedDifference> {
    let seeds = common_seeds(&pair);
    ensure!(!seeds.is_empty(), "no seed is done for both");
    let mut counts: Vec<f64> = vec![];
    let mut of_seeds: Vec<Vec<f64>> = vec![];
    let mut users: Option<Vec<u32>> = None;
    for &seed in &seeds {
        let [a, b] = [Run::load(pair[0], seed, metric)?, Run::load(pair[1], seed, metric)?];
        let like = users.get_or_insert_with(|| a.users.clone());
        if counts.is_empty() {
            counts.clone_from(&a.counts);
        }
        for run in [&a, &b] {
            ensure!(
                *like == run.users && counts == run.counts,
                "they were tested on other users or other positions"
            );
        }
        of_seeds.push(a.sums.iter().zip(&b.sums).map(|(x, y)| x - y).collect());
    }
    let mean =
        |user: usize| of_seeds.iter().map(|all| all[user]).sum::<f64>() / of_seeds.len() as f64;
    let means: Vec<f64> = (0..counts.len()).map(mean).collect();
    let interval = Interval::of_groups(&means, &counts).context("fewer than two test users")?;
    let pooled = seed_noise(study.variants.iter(), metric);
    let noise = difference_noise(&pair, metric, pooled);
    let of_seeds: Vec<f64> = of_seeds.iter().map(|users| users.iter().sum()).collect();
    Ok(PairedDifference::new(interval, noise, counts.len(), &of_seeds))
}
