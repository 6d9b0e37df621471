//! Sweeps of session models: a table of them, how they came there, and the claims of TRON's paper
//! (Wilm et al., RecSys 2023, arXiv 2307.14906).

mod claims;
mod equal_budget;
mod models;

use anyhow::Result;

use self::models::{KnownModel, Models, deciding};
use super::shared::compare::compare;
use super::shared::report::{Findings, Wording};
use super::shared::significance::{self, Comparison};
use super::shared::study::{Study, Variant};
use super::shared::table::Table;
use super::shared::validation_curves;
use crate::baseline::KeptResult;
use crate::config::Protocol;

/// The most models whose curves are drawn: one for every colour.
const MOST_CURVES: usize = 8;

const WORDING: Wording = Wording {
    whose: "TRON's",
    tables: "Session models",
    basis: "The claims are those of “Scaling Session-Based Transformer Recommendations using Optimized Negative Sampling and Loss Functions” (Wilm et al., RecSys 2023). Recall and MRR are compared over the same positions of the test sessions, with a 95 % interval to which a session, not a position, is one draw; it is widened by what other seeds would change: the standard deviation over seeds, that of the two models where both have several, else pooled over all models that have. Where none has, it covers sessions only and says so.",
    heat_maps: "",
};

/// Whether every point is evaluated at every position of sessions.
pub fn are_evaluated(study: &Study) -> bool {
    let positions = |s: &Variant| s.config.evaluation.protocol == Protocol::Positions;
    !study.variants.is_empty() && study.variants.iter().all(positions)
}

/// The models of a sweep whose points are evaluated at every position of sessions, beside
/// `baselines`.
///
/// # Errors
/// Those of the drawing crate.
pub fn findings(study: &Study, baselines: &[KeptResult]) -> Result<Findings> {
    let models = Models::of(study);
    let mut tables = vec![models.table(baselines)];
    tables.extend(equal_budget::tables(&models));
    let curves = validation_curves::of_best(study, &models.names, MOST_CURVES)?;
    Ok(Findings {
        wording: &WORDING,
        tables,
        tests: tests(&models),
        figures: curves.into_iter().collect(),
        claims: claims::claims(&models),
        names: models.names,
        remarks: vec![],
    })
}

/// TRON against every other model.
fn tests(models: &Models) -> Option<Table> {
    let tron = models.find(KnownModel::Tron)?;
    let mut all = vec![];
    for (variant, name) in models.study.variants.iter().zip(&models.names) {
        if std::ptr::eq(variant, tron) || variant.done().next().is_none() {
            continue;
        }
        all.extend(deciding(models.study).into_iter().map(|metric| Comparison {
            pair: format!("{} − {name}", models.name(tron)),
            of: metric.to_string(),
            paired: compare(models.study, [tron, variant], metric),
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
