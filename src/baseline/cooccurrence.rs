//! Which items are met by the same users, counted item by item: no table of all pairs is held.

use super::Training;

/// Where in the training sequences each item stands.
pub struct Occurrences<'a> {
    training: Training<'a>,
    /// `[items + 1]`: item `i` is at `offsets[i - 1]..offsets[i]` of `places`.
    offsets: Vec<usize>,
    /// User, by place among those who train, and place within the sequence; ascending for an item.
    places: Vec<(u32, u32)>,
}

/// Counts of one item's companions.
pub struct Counter {
    /// `[items]`
    counts: Vec<u32>,
    /// `[items]`: one more than the user who was counted last.
    last: Vec<u32>,
    touched: Vec<u32>,
}

impl<'a> Occurrences<'a> {
    /// Finds them all.
    pub fn of(training: Training<'a>) -> Self {
        let mut offsets = vec![0; training.items + 1];
        training.each().flatten().for_each(|&id| offsets[id as usize] += 1);
        (0..training.items).for_each(|item| offsets[item + 1] += offsets[item]);
        let mut next = offsets.clone();
        let mut places = vec![(0, 0); offsets[training.items]];
        for (user, sequence) in training.each().enumerate() {
            for (at, &id) in sequence.iter().enumerate() {
                let place = &mut next[id as usize - 1];
                places[*place] = (user as u32, at as u32);
                *place += 1;
            }
        }
        Self { training, offsets, places }
    }

    /// What [`Occurrences::users_of_both`] and [`Occurrences::next`] count with.
    pub fn counter(&self) -> Counter {
        let zeros = || vec![0; self.training.items];
        Counter { counts: zeros(), last: zeros(), touched: vec![] }
    }

    /// Each sequence in which an item stands, and where; the user counted from 1.
    fn of_item(&self, id: u32) -> impl Iterator<Item = (u32, &'a [u32], usize)> {
        let Training { sequences, users, .. } = self.training;
        let range = self.offsets[id as usize - 1]..self.offsets[id as usize];
        self.places[range]
            .iter()
            .map(|&(user, at)| (user + 1, sequences.get(users[user as usize]), at as usize))
    }

    /// For each item, by rising id, how many users have met it and item `id`, if any have; with a
    /// `window` only where they stand at most so many places apart. `id` itself is among them, with
    /// all its users.
    pub fn users_of_both(
        &self,
        counter: &mut Counter,
        id: u32,
        window: Option<usize>,
    ) -> Vec<(u32, u32)> {
        let mut seen = 0;
        for (user, sequence, at) in self.of_item(id) {
            let near = match window {
                Some(window) => {
                    let end = at.saturating_add(window).saturating_add(1).min(sequence.len());
                    &sequence[at.saturating_sub(window)..end]
                }
                // Wherever it stands again, its companions are the same.
                None if user == seen => continue,
                None => sequence,
            };
            seen = user;
            for &other in near {
                if std::mem::replace(&mut counter.last[other as usize - 1], user) != user {
                    counter.add(other);
                }
            }
        }
        counter.take()
    }

    /// For each item, by rising id, how often it comes directly after item `id`, if ever.
    pub fn next(&self, counter: &mut Counter, id: u32) -> Vec<(u32, u32)> {
        for (_, sequence, at) in self.of_item(id) {
            if let Some(&next) = sequence.get(at + 1) {
                counter.add(next);
            }
        }
        counter.take()
    }
}

impl Counter {
    fn add(&mut self, id: u32) {
        let count = &mut self.counts[id as usize - 1];
        if *count == 0 {
            self.touched.push(id);
        }
        *count += 1;
    }

    /// What was counted; the counts are zero again.
    fn take(&mut self) -> Vec<(u32, u32)> {
        self.touched.sort_unstable();
        let (counts, last) = (&mut self.counts, &mut self.last);
        let take = |id: u32| {
            last[id as usize - 1] = 0;
            (id, std::mem::take(&mut counts[id as usize - 1]))
        };
        self.touched.drain(..).map(take).collect()
    }
}
