//! What leads the report of data that no paper is about: the case that validation chooses, and all
//! cases beside it.

use anyhow::Result;

use super::shared::baseline_rows;
use super::shared::case_names::case_names;
use super::shared::choice::{Case, Choice, Mean, Standing, in_percent};
use super::shared::report::{Findings, Wording};
use super::shared::significance::{self, Comparison};
use super::shared::study::{Study, Variant};
use super::shared::table::{Cell, Table};
use super::shared::validation_curves;
use super::shared::variant_cells::{metric_cell, percent_cell};
use crate::baseline::{KeptResult, best_of};
use crate::config::{Metric, MetricKind};

/// The most cases whose curves are drawn: one for every colour.
const MOST_CURVES: usize = 8;

const WORDING: Wording = Wording { whose: "", tables: "Tables", basis: "", heat_maps: "" };

/// What there is without any paper: how the cases came there.
///
/// # Errors
/// Those of the drawing crate.
pub fn findings(study: &Study) -> Result<Findings> {
    let names = case_names(study);
    let curves = validation_curves::of_best(study, &names, MOST_CURVES)?;
    Ok(Findings {
        wording: &WORDING,
        names,
        tables: vec![],
        tests: None,
        figures: curves.into_iter().collect(),
        claims: vec![],
        remarks: vec![],
    })
}

/// What the report begins with: sentences for its summary, then tables.
pub fn lead(study: &Study, baselines: &[KeptResult]) -> (Vec<String>, Vec<Table>) {
    match Choice::of(study, None) {
        Ok(choice) => {
            let tables = [Some(all(study, &choice, baselines)), tests(&choice)];
            (headline(&choice, baselines), tables.into_iter().flatten().collect())
        }
        Err(error) => (vec![format!("No case is chosen: {error:#}.")], vec![]),
    }
}

fn headline(choice: &Choice, baselines: &[KeptResult]) -> Vec<String> {
    let chosen = choice.chosen();
    let test = chosen.test.map_or("not measured".into(), |test| in_percent(test) + " %");
    let (title, validation) = (choice.title(), in_percent(chosen.validation));
    let mut lines = vec![format!("{title}, {validation} % there, {test} on test.")];
    let named =
        |standing| Some(choice.names(standing).join(", ")).filter(|names| !names.is_empty());
    if choice.cases.len() > 1 {
        lines.push(match named(Standing::WithinNoise) {
            Some(names) => format!("Within noise of it on test: {names}."),
            None => "No other case is within noise of it on test.".into(),
        });
    }
    if let Some(names) = named(Standing::Ahead) {
        lines.push(format!("Ahead of it on test, though not in validation: {names}."));
    }
    if let Some(names) = named(Standing::NotCompared) {
        lines.push(format!("Not compared with it on test: {names}; the tests below say why."));
    }
    lines.extend(choice.unknown_noise().map(|said| format!("{said}.")));
    lines.extend(chosen.test.and_then(|test| beside_baselines(choice, baselines, test)));
    lines
}

fn beside_baselines(choice: &Choice, baselines: &[KeptResult], test: Mean) -> Option<String> {
    let (best, value) = best_of(baselines, choice.by)?;
    let label = best.recipe.label(best.asked.evaluation.protocol);
    let name = &choice.chosen().name;
    let (mean, sd) = test;
    let verdict = match sd {
        _ if mean <= value => "does not beat it yet; docs/baselines.md says what to try",
        Some(sd) if mean - value < sd => "beats it, by less than its own seeds differ",
        _ => "beats it",
    };
    Some(format!(
        "The best baseline, {label}, has {:.2} % on test: {name} {verdict}.",
        100.0 * value
    ))
}

/// The metric that was chosen by at every N, it first; then, of test alone, the others at its N.
fn metrics(study: &Study, by: Metric) -> [Vec<Metric>; 2] {
    let of_kind = study.at.iter().map(|&at| Metric { kind: by.kind, at });
    let own = std::iter::once(by).chain(of_kind.filter(|metric| *metric != by)).collect();
    let others = MetricKind::ALL.into_iter().map(|kind| Metric { kind, at: by.at });
    let wanted = |metric: &Metric| {
        metric.kind != by.kind
            && metric.kind != MetricKind::NdcgPublished
            && study.measures(metric.kind)
    };
    [own, others.filter(wanted).collect()]
}

fn all(study: &Study, choice: &Choice, baselines: &[KeptResult]) -> Table {
    let [own, others] = metrics(study, choice.by);
    let on_test: Vec<Metric> = own.iter().chain(&others).copied().collect();
    let row = |variant: &Variant, name: &str, standing: &str| {
        let mut row = vec![Cell::Text(name.into())];
        row.extend(own.iter().map(|&metric| percent_cell(variant, &variant.validation(metric))));
        row.extend(on_test.iter().map(|&metric| metric_cell(variant, metric)));
        row.push(Cell::Text(standing.into()));
        row
    };
    let ranked = choice
        .cases
        .iter()
        .map(|case| row(&study.variants[case.variant], &case.name, case.standing().text()));
    let open = study
        .variants
        .iter()
        .zip(case_names(study))
        .filter(|(variant, _)| variant.done().next().is_none());
    let mut rows: Vec<Vec<Cell>> =
        ranked.chain(open.map(|(variant, name)| row(variant, &name, "–"))).collect();
    let of_validation = own.iter().map(|_| None);
    let columns: Vec<Option<Metric>> =
        of_validation.chain(on_test.iter().copied().map(Some)).collect();
    let of_baselines = baseline_rows::rows(baselines, &columns);
    rows.extend(of_baselines.map(|row| [row, vec![Cell::Text("–".into())]].concat()));
    let heads = |part: &str, metrics: &[Metric]| -> Vec<String> {
        metrics.iter().map(|metric| format!("{part} {metric}")).collect()
    };
    let head = [
        vec!["case".to_owned()],
        heads("validation", &own),
        heads("test", &on_test),
        vec!["on test".to_owned()],
    ]
    .concat();
    let judged = 1..head.len() - 1;
    Table {
        id: "cases-table".into(),
        title: "All cases".into(),
        notes: vec![format!(
            "In percent, mean ± standard deviation over seeds where there are several; the best by {} in validation first. Bold: best of its column. “On test” says where a case stands beside the chosen one: within noise, unless the test users (and seeds, where there are several) tell them apart.",
            choice.by
        )],
        head,
        rows,
        ..Table::default()
    }
    .bold_best(judged)
}

fn tests(choice: &Choice) -> Option<Table> {
    let comparison = |case: &Case| {
        let paired = case.compared.clone()?.map_err(anyhow::Error::msg);
        let pair = format!("{} − {}", choice.chosen().name, case.name);
        Some(Comparison { pair, of: choice.by.to_string(), paired })
    };
    let all: Vec<Comparison> = choice.cases.iter().filter_map(comparison).collect();
    let note = "The chosen case minus the other, in percentage points on test: the mean over the seeds that both have. The first interval and p cover the choice of users (of sessions, each of which is one draw with all its positions); the second interval also covers what other seeds would change, by the standard deviation over seeds (that of the two where both have several seeds, else pooled over all cases that have).";
    let table =
        significance::table("Paired tests", ["cases", "metric", "users or sessions"], note, &all)?;
    Some(Table { id: "tests-of-cases".into(), ..table })
}

#[cfg(test)]
mod tests;
