//! Which users and items of a log are still in, and what they have left.

use rayon::prelude::*;

use crate::data::interactions::Interactions;
use crate::data::split_rule::Moment;

/// Counts of all users or items that are held at once, while threads count.
const COUNTS: usize = 8;

/// What has not been dropped. An event is kept while its user and its item are.
pub struct Kept<'a> {
    events: &'a Interactions,
    /// `[users of the log]`
    pub users: Vec<bool>,
    /// `[items of the log]`
    pub items: Vec<bool>,
}

/// How many users or items were dropped, and how many kept interactions went with them.
pub type Dropped = (u64, u64);

impl<'a> Kept<'a> {
    /// Everything.
    pub fn all(events: &'a Interactions) -> Kept<'a> {
        let users = vec![true; events.users.len()];
        Kept { events, users, items: vec![true; events.items.len()] }
    }

    /// The kept events in the order of the log: (number in the log, user, item).
    pub fn events(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let pairs = self.events.user.iter().zip(&self.events.item).enumerate();
        pairs
            .map(|(event, (user, item))| (event, *user as usize, *item as usize))
            .filter(|(_, user, item)| self.users[*user] && self.items[*item])
    }

    /// `[users]`: kept events of each.
    pub fn lengths(&self) -> Vec<u64> {
        self.count(&self.users, |user, item| self.items[item].then_some(user))
    }

    /// `[items]`: kept events of each.
    pub fn popularity(&self) -> Vec<u64> {
        self.count(&self.items, |user, item| self.users[user].then_some(item))
    }

    /// How many events fall on each of `kept` that is, by what `of` makes of user and item.
    fn count(&self, kept: &[bool], of: impl Fn(usize, usize) -> Option<usize> + Sync) -> Vec<u64> {
        let length = self.events.len().div_ceil(rayon::current_num_threads().min(COUNTS)).max(1);
        let (users, items) = (&self.events.user, &self.events.item);
        let counted = users.par_chunks(length).zip(items.par_chunks(length)).map(|events| {
            let mut counts = vec![0; kept.len()];
            for (user, item) in events.0.iter().zip(events.1) {
                if let Some(place) = of(*user as usize, *item as usize) {
                    counts[place] += 1;
                }
            }
            counts
        });
        let add = |mut all: Vec<u64>, more: Vec<u64>| {
            all.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            all
        };
        let mut counts = counted.reduce_with(add).unwrap_or_else(|| vec![0; kept.len()]);
        counts.iter_mut().zip(kept).filter(|(_, kept)| !**kept).for_each(|(count, _)| *count = 0);
        counts
    }

    /// Drops users with fewer kept events than `least`; `lengths` are theirs.
    pub fn drop_short_users(&mut self, lengths: &[u64], least: u64) -> Dropped {
        remove(&mut self.users, lengths, |user| lengths[user] < least)
    }

    /// Drops the items that `goes` names; `popularity` is theirs.
    pub fn drop_items(&mut self, popularity: &[u64], goes: impl Fn(usize) -> bool) -> Dropped {
        remove(&mut self.items, popularity, goes)
    }

    /// `[users]`: the last kept event of each by time, of equal times the last in the log.
    pub fn last(&self) -> Vec<Option<usize>> {
        let events = self.events;
        let order = |event: usize| {
            let part = events.part.as_ref().map_or(0, |part| part[event]);
            (events.time.as_ref().map_or(0, |time| time[event]), part)
        };
        let mut last: Vec<Option<usize>> = vec![None; self.users.len()];
        for (event, user, _) in self.events() {
            if last[user].is_none_or(|other| order(event) >= order(other)) {
                last[user] = Some(event);
            }
        }
        last
    }

    /// `[users]`: the day, or else the time, of each user's first or last kept event, 0 where there
    /// is none; of equal times the first or last in the log. `None` if the log has neither.
    pub fn times(&self, moment: Moment) -> Option<Vec<i64>> {
        let events = self.events;
        let told = events.day.as_ref().or(events.time.as_ref())?;
        let order = |event: usize| events.time.as_ref().map_or(0, |time| time[event]);
        let mut chosen: Vec<Option<usize>> = vec![None; self.users.len()];
        for (event, user, _) in self.events() {
            let better = chosen[user].is_none_or(|other| match moment {
                Moment::First => order(event) < order(other),
                Moment::Last => order(event) >= order(other),
            });
            if better {
                chosen[user] = Some(event);
            }
        }
        Some(chosen.iter().map(|event| event.map_or(0, |event| told[event])).collect())
    }
}

fn remove(kept: &mut [bool], counts: &[u64], goes: impl Fn(usize) -> bool) -> Dropped {
    let mut dropped = (0, 0);
    for (at, kept) in kept.iter_mut().enumerate() {
        if *kept && goes(at) {
            *kept = false;
            dropped.0 += 1;
            dropped.1 += counts[at];
        }
    }
    dropped
}
