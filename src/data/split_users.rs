//! Which users train, validate and test, by a rule.

use anyhow::{Result, bail};
use rand::seq::SliceRandom;

use super::span::Span;
use super::split::Split;
use super::split_rule::{SplitBy, SplitRule};
use crate::misuse;
use crate::random::{Purpose, stream};

const DAY: i64 = 86_400;

/// Seconds since 1970, or milliseconds since then early in 1973.
const YEAR_5138: i64 = 100_000_000_000;

/// What is known of the users when they are split.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserFacts<'a> {
    pub users: usize,
    /// `[users]`: the time of each user's event that [`SplitRule::moment`] names, if known.
    pub times: Option<&'a [i64]>,
    /// Whether the log writes times as dates.
    pub dates: bool,
    /// `[users]`: whether the user comes from a test file, if there is any.
    pub test: Option<&'a [bool]>,
}

impl SplitRule {
    /// The part of each user, `[users]`.
    ///
    /// # Errors
    /// A part without users; a split by something that is not known.
    pub fn apply(&self, facts: UserFacts) -> Result<Vec<Split>> {
        self.check()?;
        let users = facts.users;
        let split: Vec<Split> = match self.by {
            SplitBy::Hash => (0..users as u64).map(by_hash).collect(),
            SplitBy::Seed => by_seed(users, self.settled().seed.unwrap_or_default()),
            SplitBy::Time => self.by_time(facts)?,
            SplitBy::Days => {
                let times = times(facts)?;
                let latest = times.iter().max().copied().unwrap_or_default();
                if !facts.dates && latest > YEAR_5138 {
                    misuse!(
                        "a split by days needs dates or seconds, and the log's times go to {latest}: \
                         are they milliseconds?"
                    );
                }
                let days = i64::from(self.test_days.unwrap_or_default());
                let from = latest.saturating_sub(days * DAY);
                self.latest_validate(facts, times.iter().map(|time| *time > from))
            }
            SplitBy::Given => match facts.test {
                Some(test) => self.latest_validate(facts, test.iter().copied()),
                None => misuse!("a given split needs a log with test files (test_files)"),
            },
            SplitBy::Cut | SplitBy::LeaveOneOut | SplitBy::None => {
                return Ok(vec![Split::Train; users]);
            }
        };
        for part in Split::ALL {
            if !split.contains(&part) {
                bail!(
                    "the split leaves none of {users} users for {}: split differently, or prepare \
                     a larger log",
                    part.name()
                );
            }
        }
        Ok(split)
    }

    fn by_time(&self, facts: UserFacts) -> Result<Vec<Split>> {
        let part = |time: &i64| match Some(*time) {
            time if time >= self.test_from => Split::Test,
            time if time >= self.validation_from => Split::Validation,
            _ => Split::Train,
        };
        let times = times(facts)?;
        if let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) {
            let span = Span { first, last, dates: facts.dates };
            let [validation, test] =
                [self.validation_from, self.test_from].map(Option::unwrap_or_default);
            span.refuse_outside(validation, test, "the users' last events")?;
        }
        Ok(times.iter().map(part).collect())
    }

    /// Of the users who do not test, the latest share validates.
    fn latest_validate(&self, facts: UserFacts, test: impl Iterator<Item = bool>) -> Vec<Split> {
        let mut split: Vec<Split> =
            test.map(|test| if test { Split::Test } else { Split::Train }).collect();
        let mut rest: Vec<usize> =
            (0..facts.users).filter(|user| split[*user] == Split::Train).collect();
        if let Some(times) = facts.times {
            rest.sort_by_key(|user| times[*user]);
        }
        let count = (self.share() * rest.len() as f64).ceil() as usize;
        for user in &rest[rest.len() - count.min(rest.len())..] {
            split[*user] = Split::Validation;
        }
        split
    }
}

fn times(facts: UserFacts<'_>) -> Result<&[i64]> {
    match facts.times {
        Some(times) => Ok(times),
        None => misuse!("a split by time needs a log with times (time)"),
    }
}

fn by_seed(users: usize, seed: u64) -> Vec<Split> {
    let mut order: Vec<usize> = (0..users).collect();
    order.shuffle(&mut stream(seed, Purpose::Split, 0));
    let mut split = vec![Split::Test; users];
    let (train, validation) = (users * 8 / 10, users / 10);
    for (place, user) in order[..train + validation].iter().enumerate() {
        split[*user] = if place < train { Split::Train } else { Split::Validation };
    }
    split
}

/// The multiplier is 2⁶⁴ over the golden ratio; the upper half of the product is well mixed.
fn by_hash(user: u64) -> Split {
    match (user.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 10 {
        8 => Split::Validation,
        9 => Split::Test,
        _ => Split::Train,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(users: usize) -> UserFacts<'static> {
        UserFacts { users, ..UserFacts::default() }
    }

    fn at(times: &[i64]) -> UserFacts<'_> {
        UserFacts { users: times.len(), times: Some(times), ..UserFacts::default() }
    }

    fn letters(split: &[Split]) -> String {
        split.iter().map(|part| &part.name()[..2]).map(|name| name.replace("tr", "--")).collect()
    }

    fn count(split: &[Split]) -> [usize; 3] {
        Split::ALL.map(|part| split.iter().filter(|user| **user == part).count())
    }

    #[test]
    fn the_hash_split_is_the_reference_s() {
        // Computed with Python: ((i * 0x9E3779B97F4A7C15) % (1 << 64)) >> 32, then % 10.
        let expected = "-t---tv---vv---v----------------t---tt---tv---v----v--------";
        let split = SplitRule { by: SplitBy::Hash, ..SplitRule::default() };
        let first = split.apply(of(60)).unwrap();
        let letters: String =
            letters(&first).replace("--", "-").replace("te", "t").replace("va", "v");
        assert_eq!(letters, expected);
        assert_eq!(count(&split.apply(of(40_226)).unwrap()), [32_181, 4_019, 4_026]);
        assert_eq!(by_hash(1_000_002), Split::Test);
        assert_eq!(by_hash(1_000_003), Split::Validation);
        assert_eq!(by_hash(1_000_000), Split::Train);
    }

    #[test]
    fn the_seed_split_is_8_1_1_and_depends_on_the_seed() {
        let by = |seed| SplitRule { seed: Some(seed), ..SplitRule::default() };
        let one = by(1).apply(of(1_000)).unwrap();
        assert_eq!(count(&one), [800, 100, 100]);
        assert_eq!(count(&by(1).apply(of(10)).unwrap()), [8, 1, 1]);
        assert_eq!(one, by(1).apply(of(1_000)).unwrap());
        assert_eq!(one, SplitRule::default().apply(of(1_000)).unwrap());
        assert_ne!(one, by(2).apply(of(1_000)).unwrap());
        // Shuffled, not cut: the last tenth of the users is not the test part.
        assert!(count(&one[900..])[2] < 30);
    }

    #[test]
    fn the_time_split_goes_by_the_last_event() {
        let rule = SplitRule {
            by: SplitBy::Time,
            validation_from: Some(10),
            test_from: Some(20),
            ..SplitRule::default()
        };
        let split = rule.apply(at(&[9, 10, 19, 20, 21])).unwrap();
        use Split::{Test, Train, Validation};
        assert_eq!(split, [Train, Validation, Validation, Test, Test]);
        assert!(rule.apply(of(5)).is_err());
        for (times, words) in [
            (&[9, 30][..], "none of 2 users for validation"),
            (
                &[10, 30],
                "test_from (20) must lie within the users' last events, whose times go from 10 to 30",
            ),
            (&[9, 19], "go from 9 to 19 (in the log's own unit"),
        ] {
            let error = rule.apply(at(times)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let dates = UserFacts { dates: true, ..at(&[15, 16]) };
        let error = rule.apply(dates).unwrap_err().to_string();
        assert!(error.ends_with("go from 1970-01-01T00:00:15 to 1970-01-01T00:00:16"), "{error}");
    }

    #[test]
    fn the_latest_days_test_and_the_latest_of_the_rest_validate() {
        let rule = SplitRule {
            by: SplitBy::Days,
            test_days: Some(2),
            validation_share: Some(0.4),
            ..SplitRule::default()
        };
        use Split::{Test, Train, Validation};
        // Dates: the last two of them test. Of the other four users ⌈1.6⌉ validate: the latest,
        // and of two equally late ones the later in the log.
        let dates = [3 * DAY, 9 * DAY, 8 * DAY, 5 * DAY, 7 * DAY, 5 * DAY];
        let split = rule.apply(at(&dates)).unwrap();
        assert_eq!(split, [Train, Test, Test, Train, Validation, Validation]);
        // Seconds: the last 48 hours test, the event at exactly 48 hours before the last does not.
        let seconds = [0, 10 * DAY + 7, 8 * DAY + 7, 8 * DAY + 8, 4];
        let split = rule.apply(at(&seconds)).unwrap();
        assert_eq!(split, [Train, Test, Validation, Test, Validation]);
        assert!(rule.apply(of(6)).unwrap_err().to_string().contains("needs a log with times"));
        let error = rule.apply(at(&dates.map(|time| 1_000 * (time + 1_600_000_000))));
        assert!(error.unwrap_err().to_string().contains("are they milliseconds?"));
        let all = SplitRule { test_days: Some(20), ..rule };
        let error = all.apply(at(&dates)).unwrap_err().to_string();
        assert!(error.contains("none of 6 users for train"), "{error}");
    }

    #[test]
    fn a_given_split_tests_the_test_files_and_validates_the_last_of_the_rest() {
        let rule = SplitRule { by: SplitBy::Given, ..SplitRule::default() };
        let test: Vec<bool> = (0..130).map(|user| user >= 101).collect();
        let facts = UserFacts { users: 130, test: Some(&test), ..UserFacts::default() };
        let split = rule.apply(facts).unwrap();
        // 2 % of 101 are 2.02.
        assert_eq!(count(&split), [98, 3, 29]);
        assert!(split[98..101].iter().all(|part| *part == Split::Validation));
        let times: Vec<i64> = (0..130).rev().collect();
        let split = rule.apply(UserFacts { times: Some(&times), ..facts }).unwrap();
        assert!(split[..3].iter().all(|part| *part == Split::Validation));
        assert!(rule.apply(of(5)).unwrap_err().to_string().contains("test files"));
    }

    #[test]
    fn without_a_split_of_users_everybody_trains() {
        let rule = SplitRule { by: SplitBy::None, ..SplitRule::default() };
        assert_eq!(rule.apply(of(3)).unwrap(), [Split::Train; 3]);
    }

    #[test]
    fn too_few_users_are_refused() {
        let default = SplitRule::default();
        assert!(default.apply(of(9)).unwrap_err().to_string().contains("for validation"));
    }
}
