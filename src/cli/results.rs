//! Tables of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;

use anyhow::Result;
use serde::Serialize;

use super::table;
use crate::config::{Metric, MetricKind};
use crate::eval::{ColdRecall, Group, Lists, value_of};

/// The metrics of one row of a table.
#[derive(Serialize)]
pub struct MetricRow {
    pub name: String,
    #[serde(serialize_with = "crate::train::by_name::serialize")]
    pub metrics: Vec<(Metric, f64)>,
}

/// Prints the recall of each group that has targets, in percent, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_groups(title: &str, groups: &[Group]) -> Result<()> {
    let there = || groups.iter().filter(|group| group.targets > 0);
    let Some(first) = there().next() else { return Ok(()) };
    let at = first.recall.keys().map(|n| format!("@{n}"));
    let head = [title.to_owned(), "targets".to_owned()].into_iter().chain(at).collect();
    let line = |group: &Group| {
        let shares = group.recall.values().map(|share| format!("{:.2}", 100.0 * share));
        [group.name.clone(), table::count(group.targets)].into_iter().chain(shares).collect()
    };
    let lines: Vec<Vec<String>> = once(head).chain(there().map(line)).collect();
    table::print(lines)?;
    table::say("")
}

/// Prints what the lists of each length hold, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_lists(lists: &BTreeMap<usize, Lists>) -> Result<()> {
    let row = |name: &str, cell: &dyn Fn((&usize, &Lists)) -> String| -> Vec<String> {
        once(name.to_owned()).chain(lists.iter().map(cell)).collect()
    };
    table::print([
        row("what the lists hold", &|(n, _)| format!("@{n}")),
        row("coverage: share of the items, %", &|(_, own)| format!("{:.2}", 100.0 * own.coverage)),
        row("popularity: mean count in training", &|(_, own)| format!("{:.1}", own.popularity)),
    ])?;
    table::say("")
}

/// Prints how many cold items are found, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_cold(cold: &ColdRecall) -> Result<()> {
    let ColdRecall { items, targets, among_cold, among_all } = cold;
    let (items, targets) = (table::count(*items), table::count(*targets));
    table::say(format_args!(
        "{items} items that training has never met, {targets} of them to be found, one a user"
    ))?;
    let row = |name: &str, shares: &BTreeMap<usize, f64>| -> Vec<String> {
        let cells = shares.values().map(|share| format!("{:.2}", 100.0 * share));
        once(name.to_owned()).chain(cells).collect()
    };
    let at = among_all.keys().map(|n| format!("@{n}"));
    table::print([
        once("cold-recall, %".to_owned()).chain(at).collect(),
        row("among the cold items", among_cold),
        row("among all items", among_all),
    ])?;
    table::say("")
}

/// What is said of targets that cannot be ranked, if there are any.
pub fn left_out(unrankable: usize) -> String {
    match unrankable {
        0 => String::new(),
        count => format!(", {count} more that no training and no history holds left out"),
    }
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
