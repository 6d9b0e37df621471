//! The rules that turn a raw log into a dataset.

use anyhow::{Result, bail};

use super::dataset::{Dataset, Item, Sequences};
use super::description::Rules;
use super::manifest::{Manifest, Report};
use super::read::Log;
use super::split::SplitRule;

/// Filters, orders, numbers and splits a log, as the published preparation does:
///
/// 1. items with fewer than `min_item_count` interactions are dropped;
/// 2. users with fewer than `min_user_count` remaining interactions are dropped;
/// 3. a user's events are ordered by time, equal times as in the log;
/// 4. items are numbered from 1 by falling popularity, ties by first appearance in the log;
/// 5. users stay in the order of first appearance in the log and are split.
///
/// Catalogue and popularity are those *before* the second step: an item all of whose users were
/// dropped keeps its row.
///
/// # Errors
/// Filters that leave nothing; a split that cannot be made.
pub fn prepare(name: &str, log: Log, rules: &Rules, split: &SplitRule) -> Result<Dataset> {
    rules.check()?;
    split.check()?;
    let mut report = Report { left_out: log.left_out, ..Report::default() };
    let events = log.interactions;
    if events.is_empty() {
        bail!("no interaction passes the keep filter: all {} are left out", log.left_out);
    }

    let popularity = histogram(&events.item, events.items.len());
    let rare = |item: u32| popularity[item as usize] < rules.min_item_count;
    let (catalogue, numbers) = number(&popularity, rules.min_item_count);
    report.rare_items = (popularity.len() - catalogue.len()) as u64;
    if catalogue.is_empty() {
        bail!(
            "min_item_count = {} leaves no item: the most popular of {} has {} interactions",
            rules.min_item_count,
            popularity.len(),
            popularity.iter().max().unwrap_or(&0)
        );
    }

    let mut lengths = vec![0; events.users.len()];
    for (user, item) in events.user.iter().zip(&events.item) {
        if rare(*item) {
            report.rare_item_interactions += 1;
        } else {
            lengths[*user as usize] += 1;
        }
    }
    let longest = lengths.iter().copied().max().unwrap_or(0);
    // A user's new index, and where the next of the user's events goes.
    let mut place = vec![None; lengths.len()];
    let (mut users, mut offsets) = (Vec::new(), vec![0]);
    for (user, original) in events.users.into_iter().enumerate() {
        if lengths[user] < rules.min_user_count {
            report.short_users += 1;
            report.short_user_interactions += lengths[user];
            continue;
        }
        place[user] = offsets.last().copied();
        offsets.push(offsets[users.len()] + lengths[user] as usize);
        users.push(original);
    }
    if users.is_empty() {
        bail!(
            "min_user_count = {} leaves no user: the longest of {} sequences has {longest} \
             interactions (with the items that min_item_count = {} leaves)",
            rules.min_user_count,
            lengths.len(),
            rules.min_item_count
        );
    }

    let total = offsets[users.len()];
    let mut items = vec![0; total];
    let mut times = events.time.as_ref().map(|_| vec![0; total]);
    for (event, (user, item)) in events.user.iter().zip(&events.item).enumerate() {
        if let (false, Some(place)) = (rare(*item), &mut place[*user as usize]) {
            items[*place] = numbers[*item as usize];
            if let (Some(times), Some(time)) = (&mut times, &events.time) {
                times[*place] = time[event];
            }
            *place += 1;
        }
    }
    if let Some(times) = &mut times {
        order(&mut items, times, &offsets);
    }

    let last: Option<Vec<i64>> =
        times.as_ref().map(|times| offsets[1..].iter().map(|end| times[end - 1]).collect());
    let mut names: Vec<Option<String>> = events.items.into_iter().map(Some).collect();
    let items_of_catalogue = catalogue.iter().map(|item| Item {
        original: names[*item].take().unwrap_or_default(),
        count: popularity[*item],
    });
    let mut dataset = Dataset {
        items: items_of_catalogue.collect(),
        split: split.apply(users.len(), last.as_deref())?,
        users,
        sequences: Sequences { items, offsets },
        times,
        manifest: Manifest {
            name: name.to_owned(),
            rules: rules.clone(),
            split: split.settled(),
            dropped: report,
            files: log.files,
            ..Manifest::default()
        },
    };
    dataset.manifest.counts = dataset.counts();
    Ok(dataset)
}

fn histogram(values: &[u32], distinct: usize) -> Vec<u64> {
    let mut counts = vec![0; distinct];
    for value in values {
        counts[*value as usize] += 1;
    }
    counts
}

/// The items of the catalogue by falling popularity, and each item's id (0: not in it).
fn number(popularity: &[u64], least: u64) -> (Vec<usize>, Vec<u32>) {
    let mut catalogue: Vec<usize> =
        (0..popularity.len()).filter(|item| popularity[*item] >= least).collect();
    // Stable: items of the same popularity stay in the order of first appearance.
    catalogue.sort_by_key(|item| std::cmp::Reverse(popularity[*item]));
    let mut numbers = vec![0; popularity.len()];
    for (id, item) in catalogue.iter().enumerate() {
        numbers[*item] = id as u32 + 1;
    }
    (catalogue, numbers)
}

/// Orders each user's events by time; equal times keep their order.
fn order(items: &mut [u32], times: &mut [i64], offsets: &[usize]) {
    let mut events = Vec::new();
    for user in offsets.windows(2) {
        let (items, times) = (&mut items[user[0]..user[1]], &mut times[user[0]..user[1]]);
        if times.is_sorted() {
            continue;
        }
        events.clear();
        events.extend(times.iter().copied().zip(items.iter().copied()));
        events.sort_by_key(|(time, _)| *time);
        for (at, (time, item)) in events.iter().enumerate() {
            (times[at], items[at]) = (*time, *item);
        }
    }
}

#[cfg(test)]
mod tests;
