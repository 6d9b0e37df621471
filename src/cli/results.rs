//! Tables of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;

use anyhow::Result;
use serde::Serialize;

use super::table;
use crate::config::{Metric, MetricKind};
use crate::data::Split;
use crate::eval::{ColdRecall, Group, Groups, Lists};

/// The metrics of one row of a table.
#[derive(Serialize)]
pub struct MetricRow {
    pub name: String,
    #[serde(serialize_with = "crate::train::by_name::serialize")]
    pub metrics: Vec<(Metric, f64)>,
    /// Of a run's test, where the dataset's split takes items out of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold: Option<ColdRecall>,
}

/// Says for how many users, and targets that can and cannot be ranked, something was measured, and
/// by which protocol, in `words`.
///
/// # Errors
/// Those of [`table::say`].
pub fn say_measured(part: Split, counts: [usize; 3], words: &str) -> Result<()> {
    let [users, targets, unrankable] = counts.map(|count| table::count(count as u64));
    let left_out = match counts[2] {
        0 => String::new(),
        _ => format!(", {unrankable} more that no training and no history holds left out"),
    };
    table::say(format_args!(
        "{users} users of the {} part, {targets} targets{left_out}\n{words}\n",
        part.name()
    ))
}

/// Prints the recall of each group that has targets, in percent, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_groups(groups: &Groups) -> Result<()> {
    print_group("recall by the target's popularity in training, %", &groups.popularity)?;
    print_group("recall by the history's length, %", &groups.history)
}

fn print_group(title: &str, groups: &[Group]) -> Result<()> {
    let there = || groups.iter().filter(|group| group.targets > 0);
    let Some(first) = there().next() else { return Ok(()) };
    let at = first.recall.keys().map(|n| format!("@{n}"));
    let head = [title.to_owned(), "targets".to_owned()].into_iter().chain(at).collect();
    let line = |group: &Group| {
        let shares = group.recall.values().map(|share| percent(*share));
        [group.name.clone(), table::count(group.targets)].into_iter().chain(shares).collect()
    };
    let lines: Vec<Vec<String>> = once(head).chain(there().map(line)).collect();
    table::print(lines)?;
    table::say("")
}

/// Prints what the lists of each length hold, a row for each name, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_lists(rows: &[(String, &BTreeMap<usize, Lists>)]) -> Result<()> {
    type Cell = fn(&Lists) -> String;
    let parts: [(&str, Cell); 2] = [
        ("coverage: share of the items in a list, %", |own| percent(own.coverage)),
        ("popularity: mean count in training", |own| format!("{:.1}", own.popularity)),
    ];
    for (head, cell) in parts {
        let row = |(name, lists): &(String, &BTreeMap<usize, Lists>)| {
            let cells = lists.iter().map(|(&at, own)| (at, cell(own)));
            (name.clone(), cells.collect::<BTreeMap<_, _>>())
        };
        print_by_n(head, rows.iter().map(row))?;
    }
    Ok(())
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
    let row = |name: &str, shares: &BTreeMap<usize, f64>| {
        let cells = shares.iter().map(|(&at, share)| (at, percent(*share)));
        (name.to_owned(), cells.collect::<BTreeMap<_, _>>())
    };
    let rows = [row("among the cold items", among_cold), row("among all items", among_all)];
    print_by_n("cold-recall, %", rows.into_iter())
}

/// Prints how many cold items the rows have found, if one of them was asked for any.
///
/// # Errors
/// Those of [`table::say`].
pub fn print_cold_of_rows(rows: &[MetricRow]) -> Result<()> {
    for (part, shares) in ColdRecall::SHARES {
        let row = |row: &MetricRow| {
            let found = row.cold.as_ref().map(shares).into_iter().flatten();
            let cells = found.map(|(&at, share)| (at, percent(*share)));
            (row.name.clone(), cells.collect::<BTreeMap<_, _>>())
        };
        let head = format!("cold-recall {}, %", part.replace('_', " "));
        print_by_n(&head, rows.iter().map(row))?;
    }
    Ok(())
}

/// Prints one table a kind of metric that was measured, in percent, a column for each N.
///
/// # Errors
/// Those of [`table::say`].
pub fn print(rows: &[MetricRow]) -> Result<()> {
    for kind in MetricKind::ALL {
        let row = |row: &MetricRow| {
            let own = row.metrics.iter().filter(|(metric, _)| metric.kind == kind);
            let cells = own.map(|(metric, value)| (metric.at, percent(*value)));
            (row.name.clone(), cells.collect::<BTreeMap<_, _>>())
        };
        print_by_n(&format!("{}, %", kind.name()), rows.iter().map(row))?;
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// Prints names with their cells, a column for each N that one of them has; nothing where none has any.
fn print_by_n(
    head: &str,
    rows: impl Iterator<Item = (String, BTreeMap<usize, String>)>,
) -> Result<()> {
    let rows: Vec<(String, BTreeMap<usize, String>)> = rows.collect();
    let all: BTreeSet<usize> = rows.iter().flat_map(|(_, cells)| cells.keys().copied()).collect();
    if all.is_empty() {
        return Ok(());
    }
    let head: Vec<String> =
        once(head.to_owned()).chain(all.iter().map(|at| format!("@{at}"))).collect();
    let line = |(name, cells): (String, BTreeMap<usize, String>)| -> Vec<String> {
        let cell = |at: &usize| cells.get(at).cloned().unwrap_or_else(|| "–".into());
        once(name).chain(all.iter().map(cell)).collect()
    };
    table::print(once(head).chain(rows.into_iter().map(line)))?;
    table::say("")
}
