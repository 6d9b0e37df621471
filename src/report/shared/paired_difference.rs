//! The difference of two variants over the same test users or sessions, and what seeds add to its
//! uncertainty.

use super::statistics::{Interval, Noise, mean_sd};
use super::study::Variant;
use crate::config::Metric;

/// The difference of two variants in a metric over test users or sessions, each one's mean over
/// common seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// Over test users or sessions alone.
    pub interval: Interval,
    /// Over these and seeds, where the noise of seeds is known.
    pub wide: Option<Interval>,
    /// Users or sessions.
    pub users: usize,
    pub seeds: usize,
    /// Seeds whose own difference has the sign of the whole.
    pub agreeing: usize,
}

impl PairedDifference {
    /// `interval` is over `users`, `noise` what seeds give to the difference, and `of_seeds` the
    /// difference that each common seed has by itself, in any unit.
    pub fn new(interval: Interval, noise: Option<Noise>, users: usize, of_seeds: &[f64]) -> Self {
        let agrees = |difference: &&f64| **difference * interval.estimate >= 0.0;
        Self {
            interval,
            wide: noise.map(|noise| interval.widened(noise)),
            users,
            seeds: of_seeds.len(),
            agreeing: of_seeds.iter().filter(agrees).count(),
        }
    }

    /// The interval is wholly above zero and no seed says otherwise.
    pub fn better(&self) -> bool {
        self.widest().above_zero() && self.agreeing == self.seeds
    }

    /// The interval is wholly below zero and no seed says otherwise.
    pub fn worse(&self) -> bool {
        self.widest().below_zero() && self.agreeing == self.seeds
    }

    fn widest(&self) -> Interval {
        self.wide.unwrap_or(self.interval)
    }
}

/// What seeds give to the difference of two variants' means of `metric`: by their own spread where all
/// of them have several seeds, else by the `pooled` one.
pub fn difference_noise(
    variants: &[&Variant],
    metric: Metric,
    pooled: Option<Noise>,
) -> Option<Noise> {
    let seeds = common_seeds(variants).len().max(1);
    let own = if seeds > 1 { seed_noise(variants.iter().copied(), metric) } else { None };
    Some(own.or(pooled)?.times((2.0 / seeds as f64).sqrt()))
}

/// How `metric` differs from seed to seed, pooled over those of `variants` that have several.
pub fn seed_noise<'a>(
    variants: impl Iterator<Item = &'a Variant<'a>>,
    metric: Metric,
) -> Option<Noise> {
    let mut squares = 0.0;
    let mut freedom = 0;
    for variant in variants {
        let values = variant.test(metric);
        if let Some((_, Some(sd))) = mean_sd(&values) {
            squares += sd * sd * (values.len() - 1) as f64;
            freedom += values.len() - 1;
        }
    }
    (freedom > 0).then(|| Noise { sd: (squares / freedom as f64).sqrt(), freedom })
}

/// The seeds that are done for every one of `variants`, ascending.
pub fn common_seeds(variants: &[&Variant]) -> Vec<u64> {
    let has = |variant: &Variant, seed| variant.done().any(|p| p.config.seed == seed);
    let Some(first) = variants.first() else { return vec![] };
    let mut seeds: Vec<u64> = first.done().map(|p| p.config.seed).collect();
    seeds.retain(|&seed| variants.iter().all(|v| has(v, seed)));
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}
