//! A raw log in memory: who met what, and when, with ids as small numbers.

use anyhow::{Result, bail};

use super::interner::{Interner, Numbered};

/// The events of a log, column by column, in the order of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interactions {
    /// Users' original ids, in order of first appearance.
    pub users: Vec<String>,
    /// Items' original ids, in order of first appearance.
    pub items: Vec<String>,
    /// `[events]`: index into `users`.
    pub user: Vec<u32>,
    /// `[events]`: index into `items`.
    pub item: Vec<u32>,
    /// `[events]`, in the unit of the log; `None` if the order of the log is the order of time.
    pub time: Option<Vec<i64>>,
    /// `[events]`, in billionths of that unit: what is later than `time`; `None` where nothing is.
    pub part: Option<Vec<u32>>,
    /// `[events]`: what a split goes by, in seconds, where `time` does not tell it.
    pub day: Option<Vec<i64>>,
    /// Whether `day`, or else `time`, was written as dates, not as numbers.
    pub dates: bool,
    /// Users from this index on come from the test files, where the log has such.
    pub test_users_from: Option<usize>,
}

impl Interactions {
    /// The number of events.
    pub fn len(&self) -> usize {
        self.user.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.user.is_empty()
    }
}

/// Collects [`Interactions`] one event at a time.
#[derive(Default)]
pub struct Builder {
    users: Interner,
    items: Interner,
    user: Vec<u32>,
    item: Vec<u32>,
    time: Vec<i64>,
    /// As long as is needed for the last that is not 0.
    part: Vec<u32>,
    day: Vec<i64>,
    dates: bool,
    /// Users and events when the test files began.
    test_from: Option<(usize, usize)>,
}

impl Builder {
    /// Appends an event. Either all events of a log have a time or none has.
    ///
    /// # Errors
    /// More than 2³² distinct ids.
    pub fn push(&mut self, user: &str, item: &str, time: Option<i64>) -> Result<()> {
        self.user.push(self.users.number(user)?);
        self.item.push(self.items.number(item)?);
        self.time.extend(time);
        Ok(())
    }

    /// Appends the events of the piece of the log that follows.
    ///
    /// # Errors
    /// More than 2³² distinct ids.
    pub(super) fn append(&mut self, piece: Piece) -> Result<()> {
        if !piece.part.is_empty() {
            self.part.resize(self.len(), 0);
            self.part.extend(piece.part);
        }
        let [users, items] = piece.base;
        piece.users.add_to(&mut self.users, users, &mut self.user)?;
        piece.items.add_to(&mut self.items, items, &mut self.item)?;
        self.time.extend(piece.time);
        self.day.extend(piece.day);
        Ok(())
    }

    /// The numbers of the user and the item of an event.
    pub(super) fn event(&self, event: usize) -> [u32; 2] {
        [self.user[event], self.item[event]]
    }

    pub fn set_dates(&mut self, dates: bool) {
        self.dates = dates;
    }

    /// What is appended from now on is of the test files.
    pub fn begin_test(&mut self) {
        self.test_from = Some((self.users.len(), self.user.len()));
    }

    /// The number of events so far.
    pub fn len(&self) -> usize {
        self.user.len()
    }

    /// # Errors
    /// A user whom both training and test files name.
    pub fn finish(mut self) -> Result<Interactions> {
        let part = (!self.part.is_empty()).then(|| {
            self.part.resize(self.user.len(), 0);
            self.part
        });
        let of_all = |values: Vec<i64>| {
            (!values.is_empty() && values.len() == self.user.len()).then_some(values)
        };
        let users = self.users.into_names();
        if let Some((first_user, first_event)) = self.test_from {
            let both = self.user[first_event..].iter().find(|user| (**user as usize) < first_user);
            if let Some(both) = both {
                bail!(
                    "the user {} is in a training file and in a test file: with a given split a \
                     user is in one of them",
                    users[*both as usize]
                );
            }
        }
        Ok(Interactions {
            users,
            items: self.items.into_names(),
            time: of_all(self.time),
            part,
            day: of_all(self.day),
            dates: self.dates,
            test_users_from: self.test_from.map(|(first_user, _)| first_user),
            user: self.user,
            item: self.item,
        })
    }
}

/// Events of a piece of a log, taken on any thread, for [`Builder::append`].
#[derive(Default)]
pub(super) struct Piece {
    users: Numbered,
    items: Numbered,
    time: Vec<i64>,
    part: Vec<u32>,
    day: Vec<i64>,
    /// How many users and items were known.
    base: [usize; 2],
}

impl Piece {
    /// For a log of which `known` was read before.
    pub fn behind(known: &Builder) -> Piece {
        Piece { base: [known.users.len(), known.items.len()], ..Piece::default() }
    }

    /// Appends the time, with its part, and the day of an event, whose ids follow.
    pub fn push_time(&mut self, time: Option<(i64, u32)>, day: Option<i64>) {
        self.day.extend(day);
        if let Some((time, part)) = time {
            self.time.push(time);
            push_part(&mut self.part, self.time.len(), part);
        }
    }

    /// Appends the ids of events. `known` is that of [`Piece::behind`].
    ///
    /// # Errors
    /// More than 2³² distinct ids.
    pub fn push_ids<'n>(
        &mut self,
        known: &Builder,
        users: impl Iterator<Item = &'n str>,
        items: impl Iterator<Item = &'n str>,
    ) -> Result<()> {
        // Many look-ups in one loop: their ways to memory go side by side.
        self.users.extend(&known.users, users)?;
        self.items.extend(&known.items, items)
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.users.numbers.len()
    }

    /// The numbers of the user and the item of an event; those of new ones nobody has yet.
    pub fn numbers(&self, event: usize) -> [u32; 2] {
        [self.users.numbers[event], self.items.numbers[event]]
    }
}

/// Appends a part to `parts`, which is as long as is needed for the last that is not 0.
fn push_part(parts: &mut Vec<u32>, events: usize, part: u32) {
    if part > 0 {
        parts.resize(events - 1, 0);
        parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Builder {
        /// What the event that was appended last is later than its time, in billionths.
        pub(in crate::data) fn push_part(&mut self, part: u32) {
            push_part(&mut self.part, self.user.len(), part);
        }

        /// The day of the event that was appended last. Either all events of a log have one or none.
        pub(in crate::data) fn push_day(&mut self, day: i64) {
            self.day.push(day);
        }
    }

    #[test]
    fn ids_are_numbered_by_first_appearance() {
        let mut builder = Builder::default();
        for (user, item) in [("b", "x"), ("a", "y"), ("b", "y"), ("b", "x"), ("c", "z")] {
            builder.push(user, item, None).unwrap();
        }
        let log = builder.finish().unwrap();
        assert_eq!(log.users, ["b", "a", "c"]);
        assert_eq!(log.items, ["x", "y", "z"]);
        assert_eq!(log.user, [0, 1, 0, 0, 2]);
        assert_eq!(log.item, [0, 1, 1, 0, 2]);
        assert_eq!((log.time.clone(), log.len()), (None, 5));
    }

    #[test]
    fn times_stand_beside_their_events() {
        let mut builder = Builder::default();
        builder.push("u", "i", Some(7)).unwrap();
        builder.push("u", "j", Some(-3)).unwrap();
        assert_eq!(builder.finish().unwrap().time, Some(vec![7, -3]));
    }

    #[test]
    fn the_test_files_users_are_known_and_nobody_else_s() {
        let made = |test_user: &str| {
            let mut builder = Builder::default();
            for user in ["a", "b"] {
                builder.push(user, "i", None).unwrap();
            }
            builder.begin_test();
            builder.push("c", "i", None).unwrap();
            builder.push(test_user, "i", None).unwrap();
            builder.finish()
        };
        assert_eq!(made("d").unwrap().test_users_from, Some(2));
        let said = made("b").unwrap_err().to_string();
        assert!(said.starts_with("the user b is in a training file and in a test"), "{said}");
    }
}
