//! The paper's tables.

use super::exhibits::{KernelRow, Table2, Table3, Table4};
use super::paper_row::{alpha_text, row_label, row_of};
use super::published::Published;
use crate::baseline::KeptResult;
use crate::config::{Kernel, Metric};
use crate::report::shared::baseline_rows;
use crate::report::shared::study::{Study, Variant, recall};
use crate::report::shared::table::{Cell, Facet, Table, Value};
use crate::report::shared::variant_cells::metric_cell;

/// Recall in percent of one variant, with the value that `table` of the paper has for it.
fn recall_cell(variant: Option<&Variant>, at: usize, table: u8, published: &Published) -> Cell {
    let Some(variant) = variant else { return Cell::Gone("–") };
    match metric_cell(variant, recall(at)) {
        Cell::Value(value) => {
            let published = row_of(variant).and_then(|row| published.recall(table, row, at));
            Cell::Value(Value { published, ..value })
        }
        gone => gone,
    }
}

fn notes(published: &Published, more: &str) -> Vec<String> {
    let mut text = String::from(
        "Recall on the test users, in percent; mean ± standard deviation over seeds where there are several. Bold: best of its column",
    );
    text += more;
    text += ".";
    if !published.is_empty() {
        text += " Then, where the paper has one: the published value, and ours minus it.";
    }
    vec![text]
}

/// Methods × Recall@N; `others` are settings that no other table has.
pub fn table2(
    study: &Study,
    table: &Table2,
    others: &[&Variant],
    published: &Published,
    baselines: &[KeptResult],
) -> Option<Table> {
    let mut rows = table.rows();
    rows.extend(others);
    let row = |variant: &&Variant| {
        let cell = |&at: &usize| recall_cell(Some(variant), at, 2, published);
        std::iter::once(Cell::Text(row_label(variant))).chain(study.at.iter().map(cell)).collect()
    };
    let mut notes = notes(published, "");
    let which = match (others.is_empty(), published.is_empty()) {
        (true, true) => {
            "The setting of a CROLoss row is the one with the most seeds and, of these, the best in validation."
        }
        (true, false) => "",
        (false, true) => {
            "Of several rows of a method, claims and tests are about the first: the setting with the most seeds and, of these, the best in validation."
        }
        (false, false) => "Of several rows of a method, claims and tests are about the first.",
    };
    notes.extend(Some(which.to_owned()).filter(|which| !which.is_empty()));
    let columns: Vec<Option<Metric>> = study.at.iter().map(|&at| Some(recall(at))).collect();
    (rows.len() > 1).then(|| {
        Table {
            id: "table-2".into(),
            title: "Table 2: methods".into(),
            notes,
            head: head(&["method"], &study.at),
            rows: rows.iter().map(row).chain(baseline_rows::rows(baselines, &columns)).collect(),
            ..Table::default()
        }
        .bold_best(1..1 + study.at.len())
    })
}

/// Kernel × α, one table for each N.
pub fn table3(study: &Study, table: &Table3, published: &Published) -> Vec<Table> {
    let alphas: Vec<String> = table.alphas.iter().map(|&alpha| alpha_text(alpha)).collect();
    let one = |&at: &usize| {
        let row = |row: &KernelRow| {
            let cells = row.cells.iter().map(|cell| recall_cell(*cell, at, 3, published));
            std::iter::once(Cell::Text(row.label.clone())).chain(cells).collect()
        };
        let facet = Facet {
            heading: "Table 3: kernel × α".into(),
            measure: format!("Recall@{at}"),
            columns: alphas.clone(),
            rows: table.rows.iter().map(|row| row.label.replace("lambda: ", "λ ")).collect(),
        };
        let columns = alphas.iter().map(|alpha| format!("α = {alpha}"));
        Table {
            id: format!("table-3-{at}"),
            title: format!("{}, {}", facet.heading, facet.measure),
            notes: if study.at.first() == Some(&at) {
                notes(published, ", underlined: best α of its row")
            } else {
                vec![]
            },
            head: std::iter::once("kernel".to_owned()).chain(columns).collect(),
            rows: table.rows.iter().map(row).collect(),
            facet: Some(facet),
        }
        .bold_best(1..1 + table.alphas.len())
        .underline_best()
    };
    study.at.iter().map(one).collect()
}

/// φ₁ × φ₂ × N.
pub fn table4(study: &Study, table: &Table4, published: &Published) -> Table {
    let row = |(rank, kernel, variant): &(_, _, &Variant)| {
        let names = [*rank, *kernel].map(|kernel: Kernel| Cell::Text(kernel.name().into()));
        let cell = |&at: &usize| recall_cell(Some(variant), at, 4, published);
        names.into_iter().chain(study.at.iter().map(cell)).collect()
    };
    Table {
        id: "table-4".into(),
        title: format!("Table 4: kernels of the Lambda method, α = {}", alpha_text(table.alpha)),
        notes: notes(published, ""),
        head: head(&["φ₁ (rank)", "φ₂ (gradient)"], &study.at),
        rows: table.rows.iter().map(row).collect(),
        ..Table::default()
    }
    .bold_best(2..2 + study.at.len())
}

fn head(first: &[&str], at: &[usize]) -> Vec<String> {
    let first = first.iter().map(|head| head.to_string());
    first.chain(at.iter().map(|n| format!("Recall@{n}"))).collect()
}

#[cfg(test)]
mod tests;
