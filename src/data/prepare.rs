//! The rules that turn a raw log into a dataset.

use std::mem::take;

use anyhow::{Result, bail};

use super::dataset::{Dataset, Item};
use super::interactions::Interactions;
use super::manifest::{DroppedCounts, Manifest};
use super::read::Log;
use super::rules::Rules;
use super::span::Span;
use super::split::Split;
use super::split_rule::SplitRule;
use super::split_users::UserFacts;
use kept::{Dropped, Kept};
use ordered::sequences;

mod cold;
mod kept;
mod ordered;

/// Filters, orders, numbers and splits a log, as the published preparations do:
///
/// 0. with `short_users_first`, users with fewer than `min_user_count` interactions are dropped;
/// 1. items with fewer than `min_item_count` interactions are dropped;
/// 2. users with fewer than `min_user_count` remaining interactions are dropped;
/// 3. where the split has a rule for cold items, these leave the sequences, and then users who have
///    no others; they keep their rows of the catalogue;
/// 4. the remaining users, in the order of first appearance in the log, are split;
/// 5. where the split is one of sessions, items that nobody has met who trains or validates leave
///    the test and the catalogue, and then users of the test with fewer than `min_user_count`
///    remaining interactions are dropped;
/// 6. a user's events are ordered by time, equal times as in the log;
/// 7. items are numbered from 1 by falling popularity, ties by first appearance in the log.
///
/// Popularity is that of the first step, over all parts of the split. An item all of whose users
/// were dropped keeps its row in the catalogue, unless the fifth step takes it.
///
/// # Errors
/// Filters that leave nothing; a split that cannot be made.
pub fn prepare(name: &str, log: Log, rules: &Rules, split: &SplitRule) -> Result<Dataset> {
    rules.check()?;
    split.check()?;
    let mut report = DroppedCounts { left_out: log.left_out, ..DroppedCounts::default() };
    let mut events = log.interactions;
    if events.is_empty() {
        bail!("no interaction passes the keep filter: all {} are left out", log.left_out);
    }
    let mut kept = Kept::all(&events);

    if rules.short_users_first {
        (report.early_short_users, report.early_short_user_interactions) =
            drop_short_users(&mut kept, rules)?;
    }
    let popularity = kept.popularity();
    let rare = |item: usize| popularity[item] < rules.min_item_count;
    (report.rare_items, report.rare_item_interactions) = kept.drop_items(&popularity, rare);
    if !kept.items.contains(&true) {
        bail!(
            "min_item_count = {} leaves no item: the most popular of {} has {} interactions",
            rules.min_item_count,
            popularity.len(),
            popularity.iter().max().unwrap_or(&0)
        );
    }
    (report.short_users, report.short_user_interactions) = drop_short_users(&mut kept, rules)?;

    let cold = match split.cold_one_in {
        Some(_) => Some(cold::Met::take(&mut kept, &events.items, split, &mut report)?),
        None => None,
    };
    let mut split_users = parts(&kept, &events, split)?;
    if split.is_of_sessions() {
        drop_unseen(&mut kept, &split_users, rules, &mut report)?;
        split_users.retain(|(user, _)| kept.users[*user]);
    }

    let is_cold = |item: usize| cold.as_ref().is_some_and(|cold| cold.items[item]);
    let listed: Vec<bool> =
        kept.items.iter().enumerate().map(|(item, kept)| *kept || is_cold(item)).collect();
    let (catalogue, numbers) = number(&popularity, &listed);
    let cold = cold.map(|cold| cold.asked(&events, &split_users, split, &numbers)).transpose()?;
    let span = Span::of(&events);
    let lengths = kept.lengths();
    let Kept { users, items, .. } = kept;
    let (sequences, times) =
        sequences((&users, &items, &lengths), &mut events, &split_users, &numbers);
    let cuts = split.cuts(&sequences, times.as_deref(), span)?;
    let catalogued = |item: &usize| Item {
        original: take(&mut events.items[*item]).into(),
        count: popularity[*item],
    };
    let mut dataset = Dataset {
        items: catalogue.iter().map(catalogued).collect(),
        users: split_users.iter().map(|(user, _)| take(&mut events.users[*user])).collect(),
        split: split_users.iter().map(|(_, part)| *part).collect(),
        sequences,
        times,
        cuts,
        item_features: None,
        user_features: None,
        cold,
        manifest: Manifest {
            name: name.to_owned(),
            rules: rules.clone(),
            split: split.settled(),
            dropped: report,
            span,
            files: log.files,
            ..Manifest::default()
        },
    };
    dataset.check_cuts()?;
    dataset.manifest.counts = dataset.counts();
    Ok(dataset)
}

/// Drops users who have too few kept events.
fn drop_short_users(kept: &mut Kept, rules: &Rules) -> Result<Dropped> {
    let lengths = kept.lengths();
    let dropped = kept.drop_short_users(&lengths, rules.min_user_count);
    if !kept.users.contains(&true) {
        bail!(
            "min_user_count = {} leaves no user: the longest of {} sequences has {} interactions \
             (with the items that min_item_count = {} leaves)",
            rules.min_user_count,
            lengths.len(),
            lengths.iter().max().unwrap_or(&0),
            rules.min_item_count
        );
    }
    Ok(dropped)
}

/// The kept users in the order of the log, each with its part.
fn parts(kept: &Kept, events: &Interactions, split: &SplitRule) -> Result<Vec<(usize, Split)>> {
    let users: Vec<usize> = (0..kept.users.len()).filter(|user| kept.users[*user]).collect();
    let times = kept.times(split.moment());
    let times: Option<Vec<i64>> =
        times.map(|times| users.iter().map(|user| times[*user]).collect());
    let test: Option<Vec<bool>> =
        events.test_users_from.map(|from| users.iter().map(|user| *user >= from).collect());
    let facts = UserFacts {
        users: users.len(),
        times: times.as_deref(),
        dates: events.dates,
        test: test.as_deref(),
    };
    let parts = split.apply(facts)?;
    Ok(users.into_iter().zip(parts).collect())
}

/// Drops items that only the test has met, and users of the test whom that leaves too little.
fn drop_unseen(
    kept: &mut Kept,
    split: &[(usize, Split)],
    rules: &Rules,
    report: &mut DroppedCounts,
) -> Result<()> {
    let mut tests = vec![false; kept.users.len()];
    for (user, part) in split {
        tests[*user] = *part == Split::Test;
    }
    let mut seen = vec![false; kept.items.len()];
    for (_, user, item) in kept.events() {
        seen[item] |= !tests[user];
    }
    let popularity = kept.popularity();
    (report.unseen_items, report.unseen_item_interactions) =
        kept.drop_items(&popularity, |item| !seen[item]);
    // Nobody else has lost anything.
    let lengths = kept.lengths();
    (report.short_test_users, report.short_test_user_interactions) =
        kept.drop_short_users(&lengths, rules.min_user_count);
    if !split.iter().any(|(user, _)| tests[*user] && kept.users[*user]) {
        bail!(
            "no user is left for test: none of {} has {} interactions with items that the training \
             part has met",
            report.short_test_users,
            rules.min_user_count
        );
    }
    Ok(())
}

/// The items of the catalogue by falling popularity, and each item's id (0: not in it).
fn number(popularity: &[u64], kept: &[bool]) -> (Vec<usize>, Vec<u32>) {
    let mut catalogue: Vec<usize> = (0..kept.len()).filter(|item| kept[*item]).collect();
    // Stable: items of the same popularity stay in the order of first appearance.
    catalogue.sort_by_key(|item| std::cmp::Reverse(popularity[*item]));
    let mut numbers = vec![0; popularity.len()];
    for (id, item) in catalogue.iter().enumerate() {
        numbers[*item] = id as u32 + 1;
    }
    (catalogue, numbers)
}

#[cfg(test)]
mod any_log_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod session_tests;
