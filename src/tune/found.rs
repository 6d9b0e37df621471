//! `found.json`: what a search has found, for programs to read.

use std::path::Path;

use serde::Serialize;

use super::outcome::{Final, Outcome, Row, order};
use super::rungs::SHARES;
use super::words::{best_name, paragraph};
use crate::config::Metric;
use crate::formats::{SEARCH, Version};
use crate::report::Case;

#[derive(Serialize)]
pub struct Found {
    format: Version,
    /// That all points of the search have taken.
    steps: u64,
    /// Of each metric whose best is known.
    best: Vec<Best>,
}

#[derive(Serialize)]
struct Best {
    metric: Metric,
    /// The configuration to train it by, beside this file.
    config: String,
    words: String,
    /// What validation chooses first, behind it what it was compared with.
    cases: Vec<Trained>,
    gain: Option<Gain>,
    /// The points of the search that were measured, the best first.
    ranking: Vec<Ranked>,
}

/// A case that is trained to its end: means over its runs.
#[derive(Serialize)]
struct Trained {
    name: String,
    validation: f64,
    validation_sd: Option<f64>,
    test: Option<f64>,
    test_sd: Option<f64>,
    /// Folders beside this file, the best in validation first.
    runs: Vec<String>,
}

/// What the first case has more than the second on test, with a 95 % interval.
#[derive(Serialize)]
struct Gain {
    mean: f64,
    low: f64,
    high: f64,
    /// The interval covers what other seeds would change, not the choice of users alone.
    of_seeds: bool,
}

#[derive(Serialize)]
struct Ranked {
    point: String,
    run: String,
    /// Of its steps, to which it was trained.
    share: f64,
    /// Its best up to there.
    validation: Option<f64>,
}

impl Found {
    pub fn of(outcome: &Outcome) -> Self {
        let best = outcome.finals.iter().map(|own| Best::of(own, outcome)).collect();
        Self { format: SEARCH, steps: outcome.steps(), best }
    }
}

impl Best {
    fn of(own: &Final, outcome: &Outcome) -> Self {
        let standings = outcome.standings();
        let place = outcome.metrics.iter().position(|metric| *metric == own.metric);
        let ranked = |place| {
            order(&standings, place).into_iter().map(move |point| {
                let Row { case, run, standing, .. } = &outcome.points[point];
                Ranked {
                    point: case.clone(),
                    run: name(run),
                    share: SHARES[standing.reached - 1],
                    validation: standing.best(place),
                }
            })
        };
        Self {
            metric: own.metric,
            config: best_name(own.metric),
            words: paragraph(own),
            cases: own.choice.cases.iter().map(Trained::of).collect(),
            gain: own.choice.cases.get(1).and_then(Gain::over),
            ranking: place.map_or(vec![], |place| ranked(place).collect()),
        }
    }
}

impl Trained {
    fn of(case: &Case) -> Self {
        let (validation, validation_sd) = case.validation;
        Self {
            name: case.name.clone(),
            validation,
            validation_sd,
            test: case.test.map(|(mean, _)| mean),
            test_sd: case.test.and_then(|(_, sd)| sd),
            runs: case.runs.iter().map(|run| name(run)).collect(),
        }
    }
}

impl Gain {
    fn over(other: &Case) -> Option<Self> {
        let paired = other.compared.as_ref()?.as_ref().ok()?;
        let interval = paired.wide.unwrap_or(paired.interval);
        Some(Self {
            mean: interval.estimate,
            low: interval.low,
            high: interval.high,
            of_seeds: paired.wide.is_some(),
        })
    }
}

fn name(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into()
}
