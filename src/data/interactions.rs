//! A raw log in memory: who met what, and when, with ids as small numbers.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

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

    /// The numbers of user and item of the event that was appended last.
    pub fn last(&self) -> [u32; 2] {
        [&self.user, &self.item].map(|numbers| numbers.last().copied().unwrap_or_default())
    }

    /// What the event that was appended last is later than its time, in billionths.
    pub fn push_part(&mut self, part: u32) {
        if part > 0 {
            self.part.resize(self.len() - 1, 0);
            self.part.push(part);
        }
    }

    /// The day of the event that was appended last. Either all events of a log have one or none.
    pub fn push_day(&mut self, day: i64) {
        self.day.push(day);
    }

    /// Whether the log writes dates, not numbers.
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

/// Gives each distinct string a number from 0, in order of first appearance.
#[derive(Default)]
pub(super) struct Interner {
    numbers: HashMap<Box<str>, u32>,
    /// Logs are often grouped by user: the last one is found without a look-up.
    last: (String, u32),
}

impl Interner {
    pub fn number(&mut self, name: &str) -> Result<u32> {
        if self.last.0 == name && !self.numbers.is_empty() {
            return Ok(self.last.1);
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let new = u32::try_from(self.numbers.len()).context("more than 2^32 ids")?;
                self.numbers.insert(name.into(), new);
                new
            }
        };
        self.last.0.clear();
        self.last.0.push_str(name);
        self.last.1 = number;
        Ok(number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// All of them, each in the place of its number.
    pub fn into_names(self) -> Vec<String> {
        let mut names = vec![String::new(); self.numbers.len()];
        for (name, number) in self.numbers {
            names[number as usize] = name.into();
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
