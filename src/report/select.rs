//! Which points make up one row, and which of the paper's rows a configuration is.

use std::collections::BTreeSet;

use anyhow::Result;

use super::stats::mean_sd;
use crate::config::{
    Config, DeviceChoice, Estimator, Kernel, LossConfig, LossKind, Metric, MetricKind,
};
use crate::eval::value_of;
use crate::sweep::PointResult;

/// The margin of the paper's hinge kernel and triplet loss.
const MARGIN: f64 = 5.0;

/// A loss that the paper has, whatever its α.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    pub method: LossKind,
    pub kernel: Option<Kernel>,
    pub rank_kernel: Option<Kernel>,
    pub alpha: Option<f64>,
}

impl PaperRow {
    /// A method without kernels.
    pub fn plain(method: LossKind) -> Self {
        Self { method, kernel: None, rank_kernel: None, alpha: None }
    }

    /// The row of a checked configuration; `None` where the estimator or the margin is not the
    /// paper's.
    pub fn of(loss: &LossConfig) -> Option<Self> {
        let estimator = loss.estimator.is_none_or(|e| e == Estimator::ScaledRank);
        let margin = loss.margin.is_none_or(|margin| margin == MARGIN);
        let LossConfig { kind, kernel, rank_kernel, alpha, .. } = *loss;
        (estimator && margin).then_some(Self { method: kind, kernel, rank_kernel, alpha })
    }

    /// The same row, with α compared as [`same_alpha`] does.
    pub fn is(&self, other: Self) -> bool {
        let alpha = match (self.alpha, other.alpha) {
            (Some(a), Some(b)) => same_alpha(a, b),
            (a, b) => a == b,
        };
        alpha && Self { alpha: None, ..*self } == Self { alpha: None, ..other }
    }

    /// As tables have it: `CROLoss-lambda (sigmoid, softplus, α = 1.0)`.
    pub fn label(&self) -> String {
        let alpha = self.alpha.map(|alpha| format!("α = {}", alpha_text(alpha)));
        let parts: Vec<String> = [self.rank_kernel.map(kernel_name), self.kernel.map(kernel_name)]
            .into_iter()
            .flatten()
            .map(String::from)
            .chain(alpha)
            .collect();
        let name = method_name(self.method);
        if parts.is_empty() { name.into() } else { format!("{name} ({})", parts.join(", ")) }
    }
}

/// Equal but for the rounding of a grid's steps.
pub fn same_alpha(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// `0.6`, `1.0`, `1.25`.
pub fn alpha_text(alpha: f64) -> String {
    format!("{:?}", (alpha * 1e6).round() / 1e6)
}

/// The paper's name of a method.
pub fn method_name(method: LossKind) -> &'static str {
    match method {
        LossKind::Cro => "CROLoss",
        LossKind::CroLambda => "CROLoss-lambda",
        LossKind::CrossEntropy => "Cross-entropy",
        LossKind::Triplet => "Triplet",
        LossKind::Bpr => "BPR",
        LossKind::Bce => "BCE",
        LossKind::Gbce => "gBCE",
        LossKind::BprMax => "BPR-max",
    }
}

/// The name of a kernel, as in configurations.
pub fn kernel_name(kernel: Kernel) -> &'static str {
    match kernel {
        Kernel::UnitStep => "unit-step",
        Kernel::Sigmoid => "sigmoid",
        Kernel::Hinge => "hinge",
        Kernel::Exponential => "exponential",
        Kernel::Softplus => "softplus",
    }
}

/// Points that differ in nothing but their seed (and in where they were run).
pub struct Setting<'a> {
    pub config: &'a Config,
    pub row: Option<PaperRow>,
    /// Everything but loss and seed, as text.
    base: String,
    pub points: Vec<&'a PointResult>,
}

impl<'a> Setting<'a> {
    /// Points that are done.
    pub fn done(&self) -> impl Iterator<Item = &'a PointResult> {
        self.points.iter().copied().filter(|point| point.result().is_some())
    }

    /// A test metric of every point that is done.
    pub fn test(&self, metric: Metric) -> Vec<f64> {
        let value = |point: &PointResult| value_of(&point.result()?.test, metric);
        self.done().filter_map(value).collect()
    }

    /// The mean test recall over seeds.
    pub fn recall(&self, at: usize) -> Option<f64> {
        Some(mean_sd(&self.test(recall(at)))?.0)
    }

    /// The mean of the monitored validation metric at the best step.
    pub fn monitored(&self) -> Option<f64> {
        let value = |p: &PointResult| value_of(&p.result()?.validation, p.config.train.monitor);
        Some(mean_sd(&self.done().filter_map(value).collect::<Vec<_>>())?.0)
    }
}

/// All settings of a sweep.
pub struct Study<'a> {
    pub points: &'a [PointResult],
    pub settings: Vec<Setting<'a>>,
    /// The list lengths at which recall was measured, ascending.
    pub at: Vec<usize>,
}

impl<'a> Study<'a> {
    /// Gathers points into settings, in the order in which they first appear.
    ///
    /// # Errors
    /// A configuration that cannot be written as TOML.
    pub fn of(points: &'a [PointResult]) -> Result<Self> {
        let mut settings: Vec<Setting> = vec![];
        for point in points {
            let mut plain = point.config.clone();
            (plain.seed, plain.threads, plain.device) = (0, 0, DeviceChoice::Auto);
            plain.loss = LossConfig::default();
            let base = toml::to_string(&plain)?;
            let same = |s: &&mut Setting| s.base == base && s.config.loss == point.config.loss;
            match settings.iter_mut().find(same) {
                Some(setting) => setting.points.push(point),
                None => settings.push(Setting {
                    config: &point.config,
                    row: PaperRow::of(&point.config.loss),
                    base,
                    points: vec![point],
                }),
            }
        }
        let recalls = metrics_of(points).into_iter().filter(|m| m.kind == MetricKind::Recall);
        let mut at: Vec<usize> = recalls.map(|m| m.at).collect();
        if at.is_empty() {
            let asked: BTreeSet<usize> =
                points.iter().flat_map(|p| p.config.evaluation.at.clone()).collect();
            at = asked.into_iter().collect();
        }
        Ok(Self { points, settings, at })
    }

    /// The settings with one of the paper's losses that `belongs`, and that share all keys but
    /// those of the loss: of several such families the one with the most points.
    pub fn family(&self, belongs: impl Fn(PaperRow) -> bool) -> Vec<&Setting<'a>> {
        let wanted = || self.settings.iter().filter(|s| s.row.is_some_and(&belongs));
        let size = |base: &str| -> usize {
            wanted().filter(|s| s.base == base).map(|s| s.points.len()).sum()
        };
        // The first of the largest.
        let largest = wanted().rev().max_by_key(|s| size(&s.base)).map(|s| s.base.clone());
        wanted().filter(|s| Some(&s.base) == largest.as_ref()).collect()
    }

    /// Whether an evaluation of the sweep gives this kind of metric.
    pub fn measures(&self, kind: MetricKind) -> bool {
        self.settings.iter().any(|s| s.config.evaluation.protocol.kinds().contains(&kind))
    }

    /// The list length at which claims are decided: 50 as in the paper, else the nearest measured.
    pub fn deciding_at(&self) -> Option<usize> {
        self.nearest_at(50)
    }

    /// The list length that was measured and is the nearest to `wanted`.
    pub fn nearest_at(&self, wanted: usize) -> Option<usize> {
        self.at.iter().copied().min_by_key(|n| n.abs_diff(wanted))
    }
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
    use crate::report::sample;

    #[test]
    fn seeds_and_machines_are_one_setting_and_other_keys_another() {
        let mut points = sample::points();
        let settings = Study::of(&points).unwrap().settings.len();
        points[0].config.threads = 9;
        assert_eq!(Study::of(&points).unwrap().settings.len(), settings);
        points[0].config.sampling.batch = 77;
        assert_eq!(Study::of(&points).unwrap().settings.len(), settings + 1);
    }

    #[test]
    fn the_largest_family_is_taken() {
        let mut points = sample::points();
        points[0].config.sampling.batch = 77;
        let study = Study::of(&points).unwrap();
        let batches =
            study.family(|_| true).iter().map(|s| s.config.sampling.batch).collect::<Vec<_>>();
        assert!(!batches.is_empty() && !batches.contains(&77));
    }

    #[test]
    fn another_margin_or_estimator_is_no_row_of_the_paper() {
        let hinge = |margin, estimator| LossConfig {
            kind: LossKind::Cro,
            kernel: Some(Kernel::Hinge),
            alpha: Some(0.6000000001),
            margin: Some(margin),
            estimator: Some(estimator),
            ..Default::default()
        };
        let row = PaperRow::of(&hinge(5.0, Estimator::ScaledRank)).unwrap();
        assert_eq!(row.label(), "CROLoss (hinge, α = 0.6)");
        assert!(PaperRow::of(&hinge(0.5, Estimator::ScaledRank)).is_none());
        assert!(PaperRow::of(&hinge(5.0, Estimator::ScaledSum)).is_none());
    }
}
