//! Sweeps of session models: a table of them, how they came there, and the claims of TRON's paper
//! (Wilm et al., RecSys 2023, arXiv 2307.14906).

mod claims;
mod compare;
mod models;
mod progress;

use anyhow::Result;

use self::compare::compare;
use self::models::{Known, Models};
use super::select::{Setting, Study};
use super::significance::{self, Comparison};
use super::tables::Table;
use super::{Findings, Wording, figures};
use crate::config::{Metric, MetricKind, Protocol};

const WORDING: Wording = Wording {
    whose: "TRON's",
    tables: "Session models",
    basis: "The claims are those of “Scaling Session-Based Transformer Recommendations using Optimized Negative Sampling and Loss Functions” (Wilm et al., RecSys 2023). Recall and MRR are compared over the same positions of the test sessions, with a 95 % interval to which a session, not a position, is one draw; it is widened by what other seeds would change: the standard deviation over seeds, that of the two models where both have several, else pooled over all models that have. Where none has, it covers sessions only and says so.",
};

/// Whether every point is evaluated at every position of sessions.
pub fn are_evaluated(study: &Study) -> bool {
    let positions = |s: &Setting| s.config.evaluation.protocol == Protocol::Positions;
    !study.settings.is_empty() && study.settings.iter().all(positions)
}

/// The models of a sweep whose points are evaluated at every position of sessions.
///
/// # Errors
/// Those of the drawing crate.
pub fn findings(study: &Study) -> Result<Findings> {
    let models = Models::of(study);
    let mut tables = vec![models.table()];
    tables.extend(progress::tables(&models));
    Ok(Findings {
        wording: &WORDING,
        tables,
        tests: tests(&models),
        figures: figures::of_models(study, &models.names)?.into_iter().collect(),
        claims: claims::claims(&models),
        names: models.names,
        remarks: vec![],
    })
}

/// The metrics that models are compared in: Recall and MRR at 20 as in the paper, else at the
/// nearest N measured.
fn deciding(study: &Study) -> Vec<Metric> {
    let at = study.nearest_at(20);
    let kinds = [MetricKind::Recall, MetricKind::Mrr];
    at.map_or(vec![], |at| kinds.map(|kind| Metric { kind, at }).into())
}

/// TRON against every other model.
fn tests(models: &Models) -> Option<Table> {
    let tron = models.find(Known::Tron)?;
    let mut all = vec![];
    for (setting, name) in models.study.settings.iter().zip(&models.names) {
        if std::ptr::eq(setting, tron) || setting.done().next().is_none() {
            continue;
        }
        all.extend(deciding(models.study).into_iter().map(|metric| Comparison {
            pair: format!("{} − {name}", models.name(tron)),
            of: metric.to_string(),
            paired: compare(models.study, [tron, setting], metric),
        }));
    }
    let note = "The first minus the second, in percentage points, over all positions of the test sessions: the mean over the seeds that both have. The first interval and p cover the choice of sessions, each of which is one draw with all its positions; the second interval also covers what other seeds would change, by the standard deviation over seeds (that of the two where both have several seeds, else pooled over all models that have).";
    significance::table(
        "Paired tests over test sessions",
        ["models", "metric", "sessions"],
        note,
        &all,
    )
}

#[cfg(test)]
mod tests;
