//! A sweep's points, gathered into variants: what stands in one row of a table.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use anyhow::Result;

use super::statistics::mean_sd;
use crate::config::{Config, LossConfig, Metric, MetricKind};
use crate::eval::value_of;
use crate::sweep::PointResult;

/// A configuration of a sweep, whatever its seed: the points that differ in nothing but their seed
/// (and in where they were run).
pub struct Variant<'a> {
    pub config: &'a Config,
    /// Everything but loss and seed, as text.
    base: String,
    pub points: Vec<&'a PointResult>,
}

impl<'a> Variant<'a> {
    /// Points that are done.
    pub fn done(&self) -> impl Iterator<Item = &'a PointResult> {
        self.points.iter().copied().filter(|point| point.result().is_some())
    }

    /// A test metric of every point that is done.
    pub fn test(&self, metric: Metric) -> Vec<f64> {
        let value = |point: &PointResult| value_of(&point.result()?.test, metric);
        self.done().filter_map(value).collect()
    }

    /// A metric of every point that is done, in the validation that its weights were best in.
    pub fn validation(&self, metric: Metric) -> Vec<f64> {
        let value = |point: &PointResult| value_of(&point.result()?.validation, metric);
        self.done().filter_map(value).collect()
    }

    /// The mean test recall over seeds.
    pub fn recall(&self, at: usize) -> Option<f64> {
        Some(mean_sd(&self.test(recall(at)))?.0)
    }

    /// The mean of the monitored validation metric at the best step.
    pub fn monitored(&self) -> Option<f64> {
        Some(mean_sd(&self.validation(self.config.train.monitor))?.0)
    }
}

/// A sweep as a report sees it.
pub struct Study<'a> {
    pub points: &'a [PointResult],
    pub variants: Vec<Variant<'a>>,
    /// The list lengths at which recall was measured, ascending.
    pub at: Vec<usize>,
}

impl<'a> Study<'a> {
    /// Gathers points into variants, in the order in which they first appear.
    ///
    /// # Errors
    /// A configuration that cannot be written as TOML.
    pub fn of(points: &'a [PointResult]) -> Result<Self> {
        let mut variants: Vec<Variant> = vec![];
        for point in points {
            let mut plain = point.config.clone();
            plain.seed = 0;
            plain.loss = LossConfig::default();
            let base = plain.essence()?;
            let same = |s: &&mut Variant| s.base == base && s.config.loss == point.config.loss;
            match variants.iter_mut().find(same) {
                Some(variant) => variant.points.push(point),
                None => variants.push(Variant { config: &point.config, base, points: vec![point] }),
            }
        }
        let recalls = metrics_of(points).into_iter().filter(|m| m.kind == MetricKind::Recall);
        let mut at: Vec<usize> = recalls.map(|m| m.at).collect();
        if at.is_empty() {
            let asked: BTreeSet<usize> =
                points.iter().flat_map(|p| p.config.evaluation.at.clone()).collect();
            at = asked.into_iter().collect();
        }
        Ok(Self { points, variants, at })
    }

    /// The variants that `belong` and share all keys but those of the loss: of several such families
    /// the one with the most points.
    pub fn family(&self, belongs: impl Fn(&Variant) -> bool) -> Vec<&Variant<'a>> {
        let wanted = || self.variants.iter().filter(|v| belongs(v));
        let size = |base: &str| -> usize {
            wanted().filter(|v| v.base == base).map(|v| v.points.len()).sum()
        };
        // The first of the largest.
        let largest = wanted().rev().max_by_key(|v| size(&v.base)).map(|v| v.base.clone());
        wanted().filter(|v| Some(&v.base) == largest.as_ref()).collect()
    }

    /// Whether an evaluation of the sweep gives this kind of metric.
    pub fn measures(&self, kind: MetricKind) -> bool {
        self.variants.iter().any(|s| s.config.evaluation.protocol.kinds().contains(&kind))
    }

    /// The list length that summaries speak of: 50, else the nearest measured.
    pub fn deciding_at(&self) -> Option<usize> {
        self.nearest_at(50)
    }

    /// The list length that was measured and is the nearest to `wanted`.
    pub fn nearest_at(&self, wanted: usize) -> Option<usize> {
        self.at.iter().copied().min_by_key(|n| n.abs_diff(wanted))
    }
}

/// The variant that stands for several: of those with the most seeds done the best in validation, of
/// equals the first.
pub fn representative<'v, 'a>(
    variants: impl DoubleEndedIterator<Item = &'v Variant<'a>>,
) -> Option<&'v Variant<'a>> {
    let rank = |v: &Variant| (v.done().count(), v.monitored().unwrap_or(-1.0));
    variants.rev().max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal))
}

/// Recall@`at`.
pub fn recall(at: usize) -> Metric {
    Metric { kind: MetricKind::Recall, at }
}

/// Every metric that a point has, in the order of result tables.
pub fn metrics_of(points: &[PointResult]) -> Vec<Metric> {
    let results = points.iter().filter_map(PointResult::result);
    let all = results.flat_map(|o| o.validation.iter().chain(&o.test)).map(|(metric, _)| *metric);
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures;

    #[test]
    fn seeds_and_machines_are_one_variant_and_other_keys_another() {
        let mut points = fixtures::points();
        let variants = Study::of(&points).unwrap().variants.len();
        points[0].config.threads = 9;
        assert_eq!(Study::of(&points).unwrap().variants.len(), variants);
        points[0].config.sampling.batch = 77;
        assert_eq!(Study::of(&points).unwrap().variants.len(), variants + 1);
    }

    #[test]
    fn the_largest_family_is_taken() {
        let mut points = fixtures::points();
        points[0].config.sampling.batch = 77;
        let study = Study::of(&points).unwrap();
        let batches =
            study.family(|_| true).iter().map(|s| s.config.sampling.batch).collect::<Vec<_>>();
        assert!(!batches.is_empty() && !batches.contains(&77));
    }
}
