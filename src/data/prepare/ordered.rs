//! The events of a log user by user, each user's by time.

use std::mem::take;
use std::ops::Range;

use rayon::prelude::*;

use crate::data::dataset::Sequences;
use crate::data::interactions::Interactions;
use crate::data::split::Split;

/// Each user's items and their times, ordered; `kept`: which users and items of the log are, and how
/// many events that leaves each user. The columns of the log go as soon as what they tell is in its
/// place, so that never both are whole.
pub fn sequences(
    (users, items, lengths): (&[bool], &[bool], &[u64]),
    events: &mut Interactions,
    split: &[(usize, Split)],
    numbers: &[u32],
) -> (Sequences, Option<Vec<i64>>) {
    let mut offsets = vec![0];
    for (user, _) in split {
        offsets.push(offsets[offsets.len() - 1] + lengths[*user] as usize);
    }
    let (user, item) = (take(&mut events.user), take(&mut events.item));
    let places =
        Places { kept: [users, items], user: &user, item: &item, split, offsets: &offsets };
    events.day = None;
    let mut placed = Placed {
        parts: events.part.take().map_or(vec![], |part| places.of(|event| part[event])),
        times: events.time.take().map(|time| places.of(|event| time[event])),
        items: places.of(|event| numbers[item[event] as usize]),
    };
    drop((user, item));
    if placed.times.is_some() {
        placed.order(&offsets);
    }
    (Sequences { items: placed.items, offsets }, placed.times)
}

/// Where the kept events of a log stand user by user, each user's as in the log.
struct Places<'s> {
    /// Which users and items of the log are.
    kept: [&'s [bool]; 2],
    /// `[events]`
    user: &'s [u32],
    item: &'s [u32],
    /// The users, ascending.
    split: &'s [(usize, Split)],
    /// `[users + 1]`: where the events of each begin.
    offsets: &'s [usize],
}

impl Places<'_> {
    /// What `value` tells of each event of the log, in their places.
    fn of<T: Copy + Default + Send>(&self, value: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let mut all = vec![T::default(); self.offsets[self.split.len()]];
        let mut shares = vec![];
        let mut rest = &mut all[..];
        for users in shares_of(self.offsets) {
            let count = self.offsets[users.end] - self.offsets[users.start];
            let (own, others) = take(&mut rest).split_at_mut(count);
            rest = others;
            shares.push((users, own));
        }
        shares.into_par_iter().for_each(|(users, own)| self.fill(users, own, &value));
        all
    }

    /// The same for some users alone.
    fn fill<T>(&self, users: Range<usize>, own: &mut [T], value: impl Fn(usize) -> T) {
        let split = &self.split[users.clone()];
        let (Some((first, _)), Some((last, _))) = (split.first(), split.last()) else { return };
        let start = self.offsets[users.start];
        // Where the next event of each user of the log goes, from the first one of these.
        let mut places = vec![0; last - first + 1];
        for ((user, _), offset) in split.iter().zip(&self.offsets[users]) {
            places[user - first] = offset - start;
        }
        for (event, (user, item)) in self.user.iter().zip(self.item).enumerate() {
            let (user, item) = (*user as usize, *item as usize);
            if (*first..=*last).contains(&user) && self.kept[0][user] && self.kept[1][item] {
                let place = &mut places[user - first];
                own[*place] = value(event);
                *place += 1;
            }
        }
    }
}

/// The users that each thread takes, of those whose events begin at `offsets`: about as many events
/// as others take.
fn shares_of(offsets: &[usize]) -> Vec<Range<usize>> {
    let (users, threads) = (offsets.len() - 1, rayon::current_num_threads());
    let mut shares = vec![];
    let mut first = 0;
    for thread in 1..=threads {
        let enough = offsets[users] * thread / threads;
        let end = match thread == threads {
            true => users,
            false => offsets.partition_point(|offset| *offset < enough).clamp(first, users),
        };
        shares.push(first..end);
        first = end;
    }
    shares
}

/// What the log tells of each kept event, user by user.
struct Placed {
    items: Vec<u32>,
    times: Option<Vec<i64>>,
    /// Empty where the log has none.
    parts: Vec<u32>,
}

impl Placed {
    /// Orders each user's events by time.
    fn order(&mut self, offsets: &[usize]) {
        let times = self.times.as_deref_mut().unwrap_or_default();
        let mut shares = vec![];
        let mut rest = (&mut self.items[..], times, &self.parts[..]);
        for users in shares_of(offsets) {
            let count = offsets[users.end] - offsets[users.start];
            let (items, times, parts) = rest;
            let (items, times) = (items.split_at_mut(count), times.split_at_mut(count));
            let parts = parts.split_at(parts.len().min(count));
            rest = (items.1, times.1, parts.1);
            shares.push((items.0, times.0, parts.0, &offsets[users.start..=users.end]));
        }
        shares
            .into_par_iter()
            .for_each(|(items, times, parts, offsets)| order(items, times, parts, offsets));
    }
}

/// Orders each user's events by time, and by the `parts` beyond it if there are any; equal times keep
/// their order.
fn order(items: &mut [u32], times: &mut [i64], parts: &[u32], offsets: &[usize]) {
    let mut events = Vec::new();
    for user in offsets.windows(2) {
        let own = user[0] - offsets[0]..user[1] - offsets[0];
        let (items, times) = (&mut items[own.clone()], &mut times[own.clone()]);
        let parts = parts.get(own).unwrap_or_default();
        if parts.is_empty() && times.is_sorted() {
            continue;
        }
        events.clear();
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        events.extend((0..items.len()).map(|at| (times[at], part(at), items[at])));
        events.sort_by_key(|(time, part, _)| (*time, *part));
        for (at, (time, _, item)) in events.iter().enumerate() {
            (times[at], items[at]) = (*time, *item);
        }
    }
}
