//! The events of a log user by user, each user's by time.

use rayon::prelude::*;

use super::kept::Kept;
use crate::data::dataset::Sequences;
use crate::data::interactions::Interactions;
use crate::data::split::Split;

/// Each user's items and their times, ordered.
pub fn sequences(
    kept: &Kept,
    events: &Interactions,
    split: &[(usize, Split)],
    numbers: &[u32],
) -> (Sequences, Option<Vec<i64>>) {
    let lengths = kept.lengths();
    let mut offsets = vec![0];
    for (user, _) in split {
        offsets.push(offsets[offsets.len() - 1] + lengths[*user] as usize);
    }
    let total = offsets[split.len()];
    let mut items = vec![0; total];
    let mut times = events.time.as_ref().map(|_| vec![0; total]);
    let mut parts = events.part.as_ref().map_or(vec![], |_| vec![0; total]);

    let mut shares = vec![];
    let mut rest = (&mut items[..], times.as_deref_mut().unwrap_or_default(), &mut parts[..]);
    let threads = rayon::current_num_threads();
    let mut first = 0;
    for thread in 1..=threads {
        let enough = total * thread / threads;
        let end = match thread == threads {
            true => split.len(),
            false => offsets.partition_point(|offset| *offset < enough).clamp(first, split.len()),
        };
        let count = offsets[end] - offsets[first];
        let (own, others) = cut(rest, count);
        rest = others;
        let (items, times, parts) = own;
        let (users, offsets) = (&split[first..end], &offsets[first..=end]);
        shares.push(Share { users, offsets, items, times, parts });
        first = end;
    }
    shares.into_par_iter().for_each(|share| share.fill(kept, events, numbers));
    (Sequences { items, offsets }, times)
}

type Columns<'s> = (&'s mut [u32], &'s mut [i64], &'s mut [u32]);

/// The first `count` of columns of which some are empty, and the rest.
fn cut((items, times, parts): Columns, count: usize) -> (Columns, Columns) {
    let (timed, parted) = (times.len().min(count), parts.len().min(count));
    let (items, times, parts) =
        (items.split_at_mut(count), times.split_at_mut(timed), parts.split_at_mut(parted));
    ((items.0, times.0, parts.0), (items.1, times.1, parts.1))
}

/// Users that one thread takes from the log, about as many events as others take.
struct Share<'s> {
    users: &'s [(usize, Split)],
    /// Where the events of each user begin in all sequences, and where the last ones' end.
    offsets: &'s [usize],
    items: &'s mut [u32],
    /// Empty where the log has none.
    times: &'s mut [i64],
    parts: &'s mut [u32],
}

impl Share<'_> {
    fn fill(self, kept: &Kept, events: &Interactions, numbers: &[u32]) {
        let (Some((first, _)), Some((last, _))) = (self.users.first(), self.users.last()) else {
            return;
        };
        let start = self.offsets[0];
        // Where the next event of each user of the log goes, from the first one of these.
        let mut places = vec![0; last - first + 1];
        for ((user, _), offset) in self.users.iter().zip(self.offsets) {
            places[user - first] = offset - start;
        }
        for (event, (user, item)) in events.user.iter().zip(&events.item).enumerate() {
            let (user, item) = (*user as usize, *item as usize);
            let own = (*first..=*last).contains(&user) && kept.users[user] && kept.items[item];
            if !own {
                continue;
            }
            let place = &mut places[user - first];
            self.items[*place] = numbers[item];
            if let Some(time) = &events.time {
                self.times[*place] = time[event];
            }
            if let Some(part) = &events.part {
                self.parts[*place] = part[event];
            }
            *place += 1;
        }
        if events.time.is_some() {
            order(self.items, self.times, self.parts, self.offsets);
        }
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
