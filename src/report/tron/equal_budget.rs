//! The validations of models at equal epochs or steps, and at equal seconds.

use std::collections::{BTreeMap, BTreeSet};

use super::models::Models;
use crate::config::{Metric, ValidateEvery};
use crate::report::shared::drawing::round_step;
use crate::report::shared::statistics::mean_sd;
use crate::report::shared::study::Variant;
use crate::report::shared::table::{Cell, Table, Value};
use crate::report::shared::validations::{Validation, validations};
use crate::sweep::PointResult;

/// The most columns of a table by epochs or steps.
const MOST: usize = 8;

/// A model, and the learning curves of its finished runs.
struct ModelCurves {
    name: String,
    /// How many runs it was to have.
    seeds: usize,
    /// Of the runs with a log; none of them is empty.
    curves: Vec<Vec<CurvePoint>>,
}

/// A validation, and the epochs or steps after which it was made.
struct CurvePoint {
    length: u64,
    seconds: f64,
    percent: f64,
}

/// The monitored validation metric of the models at equal epochs, or steps where some do not
/// validate by epochs, and at equal seconds; none without logs of finished runs.
pub fn tables(models: &Models) -> Vec<Table> {
    let variants = &models.study.variants;
    let Some(metric) = variants.first().map(|s| s.config.train.monitor) else { return vec![] };
    let epochs = variants.iter().all(|s| s.config.train.validate_every == ValidateEvery::Epoch);
    let point_of = |(before, v): (usize, Validation)| CurvePoint {
        length: if epochs { before as u64 + 1 } else { v.step },
        seconds: v.seconds,
        percent: v.percent,
    };
    let curve = |point: &PointResult| {
        validations(point, metric).into_iter().enumerate().map(point_of).collect()
    };
    let of_model = |(variant, name): (&Variant, &String)| ModelCurves {
        name: name.clone(),
        seeds: variant.points.len(),
        curves: variant.done().map(curve).filter(|curve: &Vec<_>| !curve.is_empty()).collect(),
    };
    let mut all: Vec<ModelCurves> = variants.iter().zip(&models.names).map(of_model).collect();
    all.retain(|model| !model.curves.is_empty());
    if all.is_empty() {
        return vec![];
    }
    let unit = if epochs { "epoch" } else { "step" };
    vec![by_length(&all, metric, unit), by_seconds(&all, metric)]
}

fn by_length(models: &[ModelCurves], metric: Metric, unit: &str) -> Table {
    let at =
        |curve: &[CurvePoint], length| curve.iter().find(|v| v.length == length).map(|v| v.percent);
    Table {
        id: format!("by-{unit}"),
        title: format!("At equal {unit}s"),
        notes: vec![format!(
            "Validation {metric}, in percent, mean ± standard deviation over seeds where there are several; bold: best of its column. The {unit}s are those after which more than half of the models were validated, at most {MOST} of them."
        )],
        ..table(models, &common_lengths(models), |length| format!("{unit} {length}"), at)
    }
}

fn by_seconds(models: &[ModelCurves], metric: Metric) -> Table {
    let latest = |curve: &[CurvePoint], seconds| {
        let known = curve.iter().rev().find(|v| v.seconds <= seconds as f64);
        known.map(|v| v.percent)
    };
    let curves = || models.iter().flat_map(|model| &model.curves).flatten();
    let first = curves().map(|v| v.seconds).fold(f64::INFINITY, f64::min);
    let last = curves().map(|v| v.seconds).fold(0.0, f64::max);
    Table {
        id: "by-seconds".into(),
        title: "At equal seconds".into(),
        notes: vec![format!(
            "Validation {metric}, in percent, by the latest validation before; – before the first. Seconds are wall-clock time since the run began, validations included; what else the machine did counts too."
        )],
        ..table(models, &marks(first, last), |mark| format!("{mark} s"), latest)
    }
}

/// A row a model, a column for each of `columns`, whose values `at` finds.
fn table(
    models: &[ModelCurves],
    columns: &[u64],
    heading: impl Fn(u64) -> String,
    at: impl Fn(&[CurvePoint], u64) -> Option<f64>,
) -> Table {
    let cell = |model: &ModelCurves, column| {
        let values: Vec<f64> = model.curves.iter().filter_map(|curve| at(curve, column)).collect();
        let Some((mean, sd)) = mean_sd(&values) else { return Cell::Gone("–") };
        let partial = (values.len() < model.seeds).then_some((values.len(), model.seeds));
        Cell::Value(Value { mean, sd, digits: 2, partial, ..Value::default() })
    };
    let row = |model: &ModelCurves| {
        let cells = columns.iter().map(|&column| cell(model, column));
        std::iter::once(Cell::Text(model.name.clone())).chain(cells).collect()
    };
    let head = columns.iter().map(|&column| heading(column));
    Table {
        head: std::iter::once("model".to_owned()).chain(head).collect(),
        rows: models.iter().map(row).collect(),
        ..Table::default()
    }
    .bold_best(1..1 + columns.len())
}

/// The epochs or steps after which more than half of the models were validated, at most [`MOST`] of
/// them, evenly spread to the last.
fn common_lengths(models: &[ModelCurves]) -> Vec<u64> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for model in models {
        let lengths: BTreeSet<u64> = model.curves.iter().flatten().map(|v| v.length).collect();
        lengths.into_iter().for_each(|length| *counts.entry(length).or_default() += 1);
    }
    counts.retain(|_, count| 2 * *count > models.len());
    let all: Vec<u64> = counts.into_keys().collect();
    let shown = all.len().min(MOST);
    (1..=shown).map(|n| all[n * all.len() / shown - 1]).collect()
}

/// A few round numbers of seconds from `first` to `last`: 1, 2 and 5 times powers of ten where
/// there are enough, else evenly apart.
fn marks(first: f64, last: f64) -> Vec<u64> {
    const FEWEST: usize = 4;
    const MOST: usize = 6;
    let within = |mark: &u64| (first..=last).contains(&(*mark as f64));
    let powers = (0..12).map(|power| 10u64.pow(power));
    let mut marks: Vec<u64> = powers.flat_map(|p| [p, 2 * p, 5 * p]).filter(within).collect();
    if marks.len() < FEWEST {
        let step = round_step(((last - first) / 5.0).max(1.0)).ceil();
        let multiples = (first / step).ceil() as u64..=(last / step).floor() as u64;
        marks = multiples.map(|n| n * step as u64).collect();
    }
    let apart = marks.len().div_ceil(MOST).max(1);
    let mut few: Vec<u64> = marks.into_iter().rev().step_by(apart).collect();
    few.reverse();
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round() {
        assert_eq!(marks(35.2, 1578.7), [50, 100, 200, 500, 1000]);
        assert_eq!(marks(35.2, 400.0), [100, 200, 300, 400]);
        assert_eq!(marks(1.0, 9_000.0), [2, 10, 50, 200, 1000, 5000]);
        assert_eq!(marks(100.2, 103.9), [101, 102, 103]);
        assert!(marks(0.2, 0.7).is_empty());
    }

    #[test]
    fn steps_are_those_of_most_models_and_end_with_the_last() {
        let model = |steps: &[u64]| {
            let passed = |&length: &u64| CurvePoint { length, seconds: 0.0, percent: 0.0 };
            let curves = vec![steps.iter().map(passed).collect()];
            ModelCurves { name: String::new(), seeds: 1, curves }
        };
        let models = [model(&[10, 20, 30, 40]), model(&[10, 20, 30]), model(&[15, 30])];
        assert_eq!(common_lengths(&models), [10, 20, 30]);
        let long: Vec<u64> = (1..=100).collect();
        assert_eq!(common_lengths(&[model(&long)]), [12, 25, 37, 50, 62, 75, 87, 100]);
    }
}
