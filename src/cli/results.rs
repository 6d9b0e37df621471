//! Tables of metrics.

use std::collections::BTreeSet;
use std::iter::once;

use anyhow::Result;
use serde::Serialize;

use super::table;
use crate::config::{Metric, MetricKind};
use crate::eval::value_of;

/// The metrics of one row of a table.
#[derive(Serialize)]
pub struct MetricRow {
    pub name: String,
    #[serde(serialize_with = "crate::train::by_name::serialize")]
    pub metrics: Vec<(Metric, f64)>,
}

/// Prints one table a kind of metric that was measured, in percent, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print(rows: &[MetricRow]) -> Result<()> {
    for kind in MetricKind::ALL {
        let metrics = || rows.iter().flat_map(|row| &row.metrics).map(|(metric, _)| metric);
        let at: BTreeSet<usize> = metrics().filter(|m| m.kind == kind).map(|m| m.at).collect();
        if at.is_empty() {
            continue;
        }
        let head = once(format!("{}, %", kind.name())).chain(at.iter().map(|n| format!("@{n}")));
        let line = |row: &MetricRow| {
            let cell = |&at: &usize| {
                let value = value_of(&row.metrics, Metric { kind, at });
                value.map_or("–".into(), |value| format!("{:.2}", 100.0 * value))
            };
            once(row.name.clone()).chain(at.iter().map(cell)).collect()
        };
        let lines: Vec<Vec<String>> = once(head.collect()).chain(rows.iter().map(line)).collect();
        table::print(lines)?;
        table::say("")?;
    }
    Ok(())
}
