//! What a search has found, in words.

use std::fmt::Write;

use super::outcome::{Final, Outcome, REFERENCE};
use crate::config::Metric;
use crate::report::{Case, in_percent};

/// The file of the best by a metric.
pub fn best_name(metric: Metric) -> String {
    format!("best-{metric}.toml")
}

/// What is found, a paragraph a metric.
pub fn said(outcome: &Outcome) -> Vec<String> {
    outcome.finals.iter().map(paragraph).collect()
}

/// What is found by one metric.
pub fn paragraph(found: &Final) -> String {
    let mut text = of_choice(found);
    if !found.failed.is_empty() {
        let _ = write!(text, " Left out, because they failed: {}.", found.failed.join("; "));
    }
    text
}

fn of_choice(Final { metric, choice, .. }: &Final) -> String {
    let chosen = choice.chosen();
    let mean = |case: &Case| {
        let test = case.test.map_or("nothing".into(), in_percent);
        format!("{} % in validation and {test} % on test", in_percent(case.validation))
    };
    let seeds = |case: &Case| match case.runs.len() {
        1 => "one seed".into(),
        seeds => format!("{seeds} seeds"),
    };
    let Some(other) = choice.cases.get(1) else {
        let (name, has) = (&chosen.name, mean(chosen));
        return format!("For {metric} take {name}: {has}, {}.", seeds(chosen));
    };
    let mut text = match chosen.name.as_str() {
        REFERENCE => {
            format!("For {metric} keep {REFERENCE}: nothing that was tried is above it. It has ")
        }
        name => format!("For {metric} take {name}. It has "),
    };
    let _ = write!(
        text,
        "{}, {} has {}, means over {}.",
        mean(chosen),
        other.name,
        mean(other),
        seeds(chosen)
    );
    match (&other.compared, other.test) {
        (Some(Ok(paired)), Some((base, _))) if base > 0.0 => {
            let interval = paired.wide.unwrap_or(paired.interval);
            let of = |value: f64| format!("{:+.1}", 100.0 * value / base);
            let whose = match paired.wide {
                Some(_) => "of test users and seeds",
                None => "of test users alone, what other seeds would change is not known",
            };
            let verdict = match (paired.better(), paired.worse()) {
                (true, _) => "It gains",
                (_, true) => "Against what validation says it loses on test:",
                _ => "On test they cannot be told apart:",
            };
            let _ = write!(
                text,
                " {verdict} {} % over {}, 95 % interval {} to {} % ({whose}).",
                of(interval.estimate),
                other.name,
                of(interval.low),
                of(interval.high)
            );
        }
        (Some(Err(reason)), _) => {
            let _ = write!(text, " They cannot be compared on test: {reason}.");
        }
        _ => {}
    }
    text
}
