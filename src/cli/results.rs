//! Tables of metrics.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::config::{Metric, MetricKind};

/// The metrics of one row of a table.
#[derive(Serialize)]
pub struct Row {
    pub name: String,
    #[serde(serialize_with = "crate::eval::by_name")]
    pub metrics: Vec<(Metric, f64)>,
}

/// Prints one table a kind of metric, in percent, a column for each N.
pub fn print(rows: &[Row]) {
    for kind in MetricKind::ALL {
        let mut at: Vec<usize> = rows
            .iter()
            .flat_map(|row| &row.metrics)
            .filter(|(m, _)| m.kind == kind)
            .map(|(m, _)| m.at)
            .collect();
        at.sort_unstable();
        at.dedup();
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(
            std::iter::once(format!("{}, %", kind.name()))
                .chain(at.iter().map(|n| format!("@{n}"))),
        );
        for row in rows {
            let cell = |&at: &usize| {
                let value = crate::eval::value_of(&row.metrics, Metric { kind, at });
                value.map_or("–".into(), |value| format!("{:.2}", 100.0 * value))
            };
            table.add_row(std::iter::once(row.name.clone()).chain(at.iter().map(cell)));
        }
        table.column_iter_mut().skip(1).for_each(|c| c.set_cell_alignment(CellAlignment::Right));
        println!("{table}\n");
    }
}
