//! Which case is chosen, by validation, and how sure the test users are of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::case_names::case_names;
use super::compare::compare;
use super::paired_difference::PairedDifference;
use super::statistics::mean_sd;
use super::study::{Study, Variant};
use crate::config::Metric;
use crate::eval::value_of;
use crate::misuse;
use crate::sweep::PointResult;

/// A mean over seeds, and their standard deviation where there are several.
pub type Mean = (f64, Option<f64>);

/// In percent: `12.34 ± 0.20`.
pub fn in_percent((mean, sd): Mean) -> String {
    let sd = sd.map_or(String::new(), |sd| format!(" ± {:.2}", 100.0 * sd));
    format!("{:.2}{sd}", 100.0 * mean)
}

/// The cases of a sweep that have a result, points that differ in their seed only being one.
#[derive(Debug)]
pub struct Choice {
    /// What is chosen by.
    pub by: Metric,
    /// What each run's weights were chosen by; none where they differ in that.
    pub monitor: Option<Metric>,
    /// The best in validation first: that one is chosen. There is one at least.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// Which variant of the study it is.
    pub(in crate::report) variant: usize,
    pub validation: Mean,
    pub test: Option<Mean>,
    /// How many seeds it was to have.
    pub seeds: usize,
    /// The run folders that are done, the best in validation first.
    pub runs: Vec<PathBuf>,
    /// The chosen case minus this one over the test users, or why they cannot be compared; none for
    /// the chosen one itself.
    pub compared: Option<Result<PairedDifference, String>>,
}

/// Where a case stands beside the chosen one on the test users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Chosen,
    WithinNoise,
    Behind,
    /// Better than what validation chose.
    Ahead,
    NotCompared,
}

impl Standing {
    pub fn text(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::WithinNoise => "within noise",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::NotCompared => "not compared",
        }
    }
}

impl Case {
    pub fn standing(&self) -> Standing {
        match &self.compared {
            None => Standing::Chosen,
            Some(Err(_)) => Standing::NotCompared,
            Some(Ok(paired)) if paired.better() => Standing::Behind,
            Some(Ok(paired)) if paired.worse() => Standing::Ahead,
            Some(Ok(_)) => Standing::WithinNoise,
        }
    }
}

impl Choice {
    /// The cases of `study` by `by`, or by what all of them monitor.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for points that were measured differently or have no one monitor, for
    /// a metric that was not measured, and where nothing is done.
    pub fn of(study: &Study, by: Option<Metric>) -> Result<Self> {
        let done: Vec<&PointResult> = study.variants.iter().flat_map(Variant::done).collect();
        let Some(first) = done.first().map(|point| &point.config) else {
            misuse!("no point of the sweep is done: run croloss sweep first");
        };
        let evaluation =
            |p: &&PointResult| (p.config.evaluation.protocol, p.config.evaluation.seen);
        if done.iter().any(|p| evaluation(p) != evaluation(&done[0])) {
            misuse!(
                "points that differ in evaluation.protocol or evaluation.seen cannot be compared: \
                 croloss best --only evaluation.seen=keep chooses among those of one value"
            );
        }
        let monitors: BTreeSet<Metric> = done.iter().map(|p| p.config.train.monitor).collect();
        if by.is_none() && monitors.len() > 1 {
            misuse!(
                "the points monitor different metrics, {}: choose with croloss best --by METRIC",
                listed(monitors.iter())
            );
        }
        let by = by.unwrap_or(first.train.monitor);
        let monitor = monitors.first().copied().filter(|_| monitors.len() == 1);
        let mut measured = done[0].result().map_or(vec![], |result| result.validation.clone());
        let by_all = |metric| done.iter().all(|point| in_validation(point, metric).is_finite());
        measured.retain(|(metric, _)| by_all(*metric));
        if value_of(&measured, by).is_none() {
            misuse!(
                "{by} was not measured in validation by all points; by all was: {}",
                listed(measured.iter().map(|(metric, _)| metric))
            );
        }
        Ok(Self { by, monitor, cases: cases(study, by) })
    }

    /// `Best of 4 cases by recall@10 in validation: bpr`
    pub fn title(&self) -> String {
        let plural = if self.cases.len() == 1 { "" } else { "s" };
        let (cases, by, name) = (self.cases.len(), self.by, &self.chosen().name);
        format!("Best of {cases} case{plural} by {by} in validation: {name}")
    }

    /// The one that validation chooses.
    pub fn chosen(&self) -> &Case {
        &self.cases[0]
    }

    /// What has to be said where the comparisons are over users alone, since no case has several
    /// seeds.
    pub fn unknown_noise(&self) -> Option<&'static str> {
        let mut compared =
            self.cases.iter().filter_map(|case| case.compared.as_ref()?.as_ref().ok());
        let first = compared.next()?;
        let of_users = first.wide.is_none() && compared.all(|other| other.wide.is_none());
        of_users.then_some("What other seeds would change is not known: no case has several")
    }

    /// The names of the cases that stand so beside the chosen one.
    pub fn names(&self, standing: Standing) -> Vec<&str> {
        let all = self.cases.iter().filter(|case| case.standing() == standing);
        all.map(|case| case.name.as_str()).collect()
    }
}

fn cases(study: &Study, by: Metric) -> Vec<Case> {
    let of = |(variant, (own, name)): (usize, (&Variant, String))| {
        let mut points: Vec<&PointResult> = own.done().collect();
        points.sort_by(|a, b| in_validation(b, by).total_cmp(&in_validation(a, by)));
        Some(Case {
            name,
            variant,
            validation: mean_sd(&own.validation(by))?,
            test: mean_sd(&own.test(by)),
            seeds: own.points.len(),
            runs: points.iter().map(|point| point.run.clone()).collect(),
            compared: None,
        })
    };
    let named = study.variants.iter().zip(case_names(study)).enumerate();
    let mut cases: Vec<Case> = named.filter_map(of).collect();
    // Of equals the first in the file.
    cases.sort_by(|a, b| b.validation.0.total_cmp(&a.validation.0));
    if let Some((chosen, others)) = cases.split_first_mut() {
        for case in others {
            let pair = [chosen.variant, case.variant].map(|variant| &study.variants[variant]);
            case.compared = Some(compare(study, pair, by).map_err(|error| format!("{error:#}")));
        }
    }
    cases
}

/// NaN where it was not measured.
fn in_validation(point: &PointResult, metric: Metric) -> f64 {
    point.result().and_then(|result| value_of(&result.validation, metric)).unwrap_or(f64::NAN)
}

fn listed<'a>(metrics: impl Iterator<Item = &'a Metric>) -> String {
    metrics.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
