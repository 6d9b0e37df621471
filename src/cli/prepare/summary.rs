//! What `croloss prepare` says of the dataset that it made.

use std::path::Path;

use anyhow::Result;

use crate::cli::table::{self, count};
use crate::data::{Dataset, Description, Split, distinct};
use crate::eval::held_out_from;

mod known;
mod published;

/// Prints what was kept and what was dropped, what the description says of that, and where it lies
/// now.
///
/// # Errors
/// Those of [`table::print`].
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
    rows.extend(lengths(dataset).map(|(name, value)| [format!("sequence length, {name}"), value]));
    for (part, verb) in
        [(Split::Train, "train"), (Split::Validation, "validate"), (Split::Test, "test")]
    {
        let users = dataset.users_of(part);
        let mut items = vec![false; dataset.item_count()];
        let mut interactions = 0;
        for user in &users {
            let sequence = dataset.items_of(part, *user);
            interactions += sequence.len() as u64;
            sequence.iter().for_each(|item| items[*item as usize - 1] = true);
        }
        let items = items.iter().filter(|met| **met).count() as u64;
        rows.extend([
            [format!("users that {verb}"), count(users.len() as u64)],
            ["… and their interactions".into(), count(interactions)],
            ["… and distinct items".into(), count(items)],
        ]);
        if part != Split::Train && !users.is_empty() && !dataset.manifest.split.is_of_sessions() {
            rows.push(targets(dataset, part, &users));
            rows.extend(unknown(dataset, part, users.len()));
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
    rows.extend(published::rows(dataset, description));
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
        rows.push(["tied times, where the order is the file's".into(), share(tied)]);
    }
    rows
}

/// What there is to be found of `users`: where they are split, when the last fifth is held out.
fn targets(dataset: &Dataset, part: Split, users: &[usize]) -> [String; 2] {
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
    let fifth = if dataset.cuts.is_some() { "" } else { " in their last fifths" };
    let name = format!("… and targets{fifth}, a user's repeats once");
    [name, format!("{} of {}", count(once), count(all))]
}

/// Of a split by cut, who has interactions in `part` but none before, so that none can be asked for.
fn unknown(dataset: &Dataset, part: Split, users: usize) -> Option<[String; 2]> {
    dataset.cuts.as_ref()?;
    let met = (0..dataset.users.len()).filter(|user| !dataset.items_of(part, *user).is_empty());
    let name = "… left out: users with nothing before".into();
    Some([name, count((met.count() - users) as u64)])
}

fn lengths(dataset: &Dataset) -> impl Iterator<Item = (&'static str, String)> {
    let offsets = &dataset.sequences.offsets;
    let mut lengths: Vec<u64> = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect();
    lengths.sort_unstable();
    // The smallest length that at least this share of the users does not exceed.
    let at = |share: f64| {
        let rank = (share * lengths.len() as f64).ceil() as usize;
        count(lengths[rank.clamp(1, lengths.len()) - 1])
    };
    let mean = lengths.iter().sum::<u64>() as f64 / lengths.len() as f64;
    [
        ("least", at(0.0)),
        ("5 %", at(0.05)),
        ("median", at(0.5)),
        ("mean", format!("{mean:.2}")),
        ("95 %", at(0.95)),
        ("most", at(1.0)),
    ]
    .into_iter()
}
