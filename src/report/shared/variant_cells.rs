//! What a variant came to, as cells of a table: means over its seeds.

use super::statistics::mean_sd;
use super::study::Variant;
use super::table::{Cell, Value};
use crate::config::Metric;
use crate::eval::ColdShares;
use crate::sweep::{PointResult, Status};
use crate::train::RunResult;

/// A test metric of one variant, in percent.
pub fn metric_cell(variant: &Variant, metric: Metric) -> Cell {
    percent_cell(variant, &variant.test(metric))
}

/// A share of the cold items of one variant, in percent.
pub fn cold_cell(variant: &Variant, shares: ColdShares, at: usize) -> Cell {
    let of = |point: &PointResult| shares(point.result()?.test_cold.as_ref()?).get(&at).copied();
    percent_cell(variant, &variant.done().filter_map(of).collect::<Vec<f64>>())
}

/// The shares that a variant's points have, in percent.
pub fn percent_cell(variant: &Variant, values: &[f64]) -> Cell {
    let Some((mean, sd)) = mean_sd(values) else { return Cell::Gone(why_gone(variant)) };
    let (done, all) = (values.len(), variant.points.len());
    Cell::Value(Value {
        mean: 100.0 * mean,
        sd: sd.map(|sd| 100.0 * sd),
        digits: 2,
        partial: (done < all).then_some((done, all)),
        ..Value::default()
    })
}

/// Why a variant has no value.
fn why_gone(variant: &Variant) -> &'static str {
    let failed = |p: &&PointResult| matches!(p.status, Status::Failed(_));
    match (variant.points.iter().any(failed), variant.done().next()) {
        (_, Some(_)) => "–",
        (true, None) => "failed",
        (false, None) => "missing",
    }
}

/// A number of the runs of one variant.
pub fn result_cell(variant: &Variant, digits: usize, of: fn(&RunResult) -> f64) -> Cell {
    let values: Vec<f64> = variant.done().filter_map(|p| p.result().map(of)).collect();
    match mean_sd(&values) {
        Some((mean, sd)) => Cell::Value(Value { mean, sd, digits, ..Value::default() }),
        None => Cell::Gone(why_gone(variant)),
    }
}
