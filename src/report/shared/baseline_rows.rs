//! Baselines as the last rows of a table of test figures.

use super::table::{Cell, Value};
use crate::baseline::KeptResult;
use crate::config::Metric;
use crate::eval::value_of;

/// The name of a baseline in a table of cases.
pub fn name(baseline: &KeptResult) -> String {
    format!("baseline: {}", baseline.recipe.label(baseline.asked.evaluation.protocol))
}

/// A row for each baseline: its name, and a cell for each column after it; `None`: one that no
/// baseline has.
pub fn rows(
    baselines: &[KeptResult],
    columns: &[Option<Metric>],
) -> impl Iterator<Item = Vec<Cell>> {
    let row = |baseline: &KeptResult| {
        let cell = |column: &Option<Metric>| {
            let value = column.and_then(|metric| value_of(&baseline.metrics, metric));
            value.map_or(Cell::Gone("–"), |value| {
                Cell::Value(Value { mean: 100.0 * value, digits: 2, ..Value::default() })
            })
        };
        std::iter::once(Cell::Text(name(baseline))).chain(columns.iter().map(cell)).collect()
    };
    baselines.iter().map(row)
}
