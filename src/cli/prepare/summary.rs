//! What `croloss prepare` says of the dataset that it made.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::cli::table::{self, count};
use crate::data::{Dataset, Description, Split, distinct};
use crate::eval::held_out_from;

mod json;
mod known;
mod published;

pub use json::print_json;

/// Prints what was kept and what was dropped, what the description says of that, and where it lies
/// now.
///
/// # Errors
/// Those of [`published::rows`] and [`table::print`].
pub fn print(dataset: &Dataset, description: &Description, out: &Path) -> Result<()> {
    let (counts, dropped) = (dataset.counts(), &dataset.manifest.dropped);
    let cells = counts.users as f64 * counts.items as f64;
    let mut rows = vec![
        ["users".into(), count(counts.users)],
        ["items".into(), count(counts.items)],
        ["interactions".into(), count(counts.interactions)],
        ["density".into(), format!("{:.4} %", 100.0 * counts.interactions as f64 / cells)],
    ];
    rows.extend(moments(dataset));
    let lengths = Lengths::of(dataset);
    rows.extend([
        ["sequence length, least".into(), count(lengths.least)],
        ["sequence length, 5 %".into(), count(lengths.of_5_percent)],
        ["sequence length, median".into(), count(lengths.median)],
        ["sequence length, mean".into(), format!("{:.2}", lengths.mean)],
        ["sequence length, 95 %".into(), count(lengths.of_95_percent)],
        ["sequence length, most".into(), count(lengths.most)],
    ]);
    for (part, verb) in
        [(Split::Train, "train"), (Split::Validation, "validate"), (Split::Test, "test")]
    {
        let own = Part::of(dataset, part);
        rows.extend([
            [format!("users that {verb}"), count(own.users)],
            ["… and their interactions".into(), count(own.interactions)],
            ["… and distinct items".into(), count(own.items)],
        ]);
        if let Some(targets) = own.targets {
            let fifth = if dataset.cuts.is_some() { "" } else { " in their last fifths" };
            let name = format!("… and targets{fifth}, a user's repeats once");
            rows.push([name, format!("{} of {}", count(targets.once), count(targets.all))]);
        }
        if let Some(unknown) = own.users_with_nothing_before {
            rows.push(["… left out: users with nothing before".into(), count(unknown)]);
        }
    }
    rows.extend(known::fields(dataset));
    rows.extend(known::cold(dataset));
    let manifest = &dataset.manifest;
    rows.push(["left out by keep: interactions".into(), count(dropped.left_out)]);
    let mut tell = |what: String, number: u64, interactions: u64| {
        rows.push([format!("dropped: {what}"), count(number)]);
        rows.push(["… and their interactions".into(), count(interactions)]);
    };
    let (few, rules) = (manifest.rules.min_user_count, &manifest.rules);
    if rules.short_users_first {
        let (users, interactions) =
            (dropped.early_short_users, dropped.early_short_user_interactions);
        tell(format!("users with fewer than {few} at first"), users, interactions);
    }
    let what = format!("items with fewer than {} interactions", rules.min_item_count);
    tell(what, dropped.rare_items, dropped.rare_item_interactions);
    let what = format!("users with fewer than {few} remaining");
    tell(what, dropped.short_users, dropped.short_user_interactions);
    if manifest.split.is_of_sessions() {
        let what = "items that only the test has met".into();
        tell(what, dropped.unseen_items, dropped.unseen_item_interactions);
        let what = format!("users that test with fewer than {few} left");
        tell(what, dropped.short_test_users, dropped.short_test_user_interactions);
    }
    rows.extend(published::rows(dataset, description)?);
    rows.push(["written to".into(), out.display().to_string()]);
    table::print(rows)
}

/// When the log begins and ends; what of it is repeats, and what shares its time.
fn moments(dataset: &Dataset) -> Vec<[String; 2]> {
    let share = |part: u64| {
        let all = dataset.sequences.items.len().max(1);
        format!("{:.2} %", 100.0 * part as f64 / all as f64)
    };
    let mut rows = vec![];
    if let Some(span) = dataset.manifest.span {
        rows.push(["first time in the log".into(), span.text(span.first)]);
        rows.push(["last time in the log".into(), span.text(span.last)]);
    }
    rows.push(["repeats, of an item that the user had before".into(), share(dataset.repeats())]);
    if let Some(tied) = dataset.tied_times() {
        rows.push(["tied times, in the second or unit of the one before".into(), share(tied)]);
    }
    rows
}

/// Who trains, validates or tests.
#[derive(Serialize)]
struct Part {
    users: u64,
    interactions: u64,
    /// Distinct ones.
    items: u64,
    /// Where users are split, or sequences by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Targets>,
    /// Of a split by cut, so that none can be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    users_with_nothing_before: Option<u64>,
}

/// What there is to be found: where users are split, when the last fifth is held out.
#[derive(Clone, Copy, Serialize)]
struct Targets {
    all: u64,
    /// A user's repeats once.
    once: u64,
}

impl Part {
    fn of(dataset: &Dataset, part: Split) -> Self {
        let users = dataset.users_of(part);
        let mut met = vec![false; dataset.item_count()];
        let mut interactions = 0;
        for user in &users {
            let sequence = dataset.items_of(part, *user);
            interactions += sequence.len() as u64;
            sequence.iter().for_each(|item| met[*item as usize - 1] = true);
        }
        let asks = part != Split::Train && !users.is_empty();
        let asks = asks && !dataset.manifest.split.is_of_sessions();
        let any = |user: &usize| !dataset.items_of(part, *user).is_empty();
        let there = || (0..dataset.users.len()).filter(any).count();
        Self {
            users: users.len() as u64,
            interactions,
            items: met.iter().filter(|met| **met).count() as u64,
            targets: asks.then(|| Targets::of(dataset, part, &users)),
            users_with_nothing_before: (asks && dataset.cuts.is_some())
                .then(|| (there() - users.len()) as u64),
        }
    }
}

impl Targets {
    fn of(dataset: &Dataset, part: Split, users: &[usize]) -> Self {
        let (mut once, mut all) = (0, 0);
        for user in users {
            let items = dataset.items_of(part, *user);
            let targets = match &dataset.cuts {
                Some(_) => items,
                None => &items[held_out_from(items.len())..],
            };
            once += distinct(targets).len() as u64;
            all += targets.len() as u64;
        }
        Self { all, once }
    }
}

/// How long sequences are.
#[derive(Serialize)]
struct Lengths {
    least: u64,
    of_5_percent: u64,
    median: u64,
    mean: f64,
    of_95_percent: u64,
    most: u64,
}

impl Lengths {
    fn of(dataset: &Dataset) -> Self {
        let offsets = &dataset.sequences.offsets;
        let mut lengths: Vec<u64> =
            offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect();
        lengths.sort_unstable();
        // The smallest length that at least this share of the users does not exceed.
        let at = |share: f64| {
            let rank = (share * lengths.len() as f64).ceil() as usize;
            lengths[rank.clamp(1, lengths.len()) - 1]
        };
        Self {
            least: at(0.0),
            of_5_percent: at(0.05),
            median: at(0.5),
            mean: lengths.iter().sum::<u64>() as f64 / lengths.len() as f64,
            of_95_percent: at(0.95),
            most: at(1.0),
        }
    }
}
