//! Significance: paired tests as a table.

use anyhow::Result;

use super::claim::p_text;
use super::paired_difference::PairedDifference;
use super::table::{Cell, Table, signed};

/// One comparison.
pub struct Comparison {
    /// What is compared: `CROLoss − BPR`.
    pub pair: String,
    /// The metric: `@50`.
    pub of: String,
    /// The first minus the second, or why they could not be compared.
    pub paired: Result<PairedDifference>,
}

/// A row a comparison; `None` without any. `head` names the pair, the metric and what is drawn.
pub fn table(
    title: &str,
    head: [&str; 3],
    note: &str,
    comparisons: &[Comparison],
) -> Option<Table> {
    let [pair, metric, drawn] = head;
    let head =
        [pair, metric, "difference", "95 % interval", "with seeds", "p", drawn, "seeds agreeing"];
    (!comparisons.is_empty()).then(|| Table {
        id: "tests".into(),
        title: title.into(),
        notes: vec![note.into()],
        head: head.map(String::from).into(),
        rows: comparisons.iter().map(row).collect(),
        ..Table::default()
    })
}

fn row(comparison: &Comparison) -> Vec<Cell> {
    let mut row = vec![comparison.pair.clone(), comparison.of.clone()];
    match &comparison.paired {
        Ok(paired) => {
            let i = paired.interval.times(100.0);
            row.extend([
                signed(i.estimate, 2),
                format!("{} to {}", signed(i.low, 2), signed(i.high, 2)),
                paired.wide.map_or("unknown".into(), |wide| {
                    let wide = wide.times(100.0);
                    format!("{} to {}", signed(wide.low, 2), signed(wide.high, 2))
                }),
                p_text(i.p).trim_start_matches("p = ").trim_start_matches("p ").into(),
                paired.users.to_string(),
                format!("{} of {}", paired.agreeing, paired.seeds),
            ]);
        }
        Err(error) => {
            row.extend(["–".into(), format!("not compared: {error:#}")]);
            row.extend(vec!["–".into(); 4]);
        }
    }
    row.into_iter().map(Cell::Text).collect()
}
