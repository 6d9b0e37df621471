//! Which users train, validate and test.

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::dataset::Split;
use crate::misuse;
use crate::random::{Purpose, stream};

const DAY: i64 = 86_400;

/// What validates of the users who do not test, where the split does not say.
const VALIDATION_SHARE: f64 = 0.02;

/// How users are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// 8:1:1 after a shuffle.
    #[default]
    Seed,
    /// 8:1:1 by a fixed hash of the user's index: the same for everyone who prepares the same log.
    Hash,
    /// By the time of the user's last event.
    Time,
    /// The latest days test; of the others the latest users validate. For sessions.
    Days,
    /// The users of the test files test; of the others the latest validate. For sessions.
    Given,
}

/// One of a user's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    First,
    #[default]
    Last,
}

/// How users are split and what that needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRule {
    #[serde(default)]
    pub by: SplitBy,
    /// For `seed`; 1 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// For `time`, in the unit of the log: users whose last event is at or after it validate,
    /// unless they test. So nothing that is trained on is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_from: Option<i64>,
    /// For `time`, in the unit of the log: users whose last event is at or after it test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_from: Option<i64>,
    /// For `days`: users test who are later than this many times 86,400 seconds before the latest
    /// user. Of dates without a time of day these are the last so many dates; times that are
    /// numbers must be seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_days: Option<u32>,
    /// For `days` and `given`: the event whose time is the user's; the last if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Moment>,
    /// For `days` and `given`: the share of the users who do not test that validates, 0.02 if not
    /// given: the latest, of equal times or without times the last of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
}

/// What is known of the users when they are split.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub users: usize,
    /// `[users]`: the time of each user's event that [`SplitRule::moment`] names, if known.
    pub times: Option<&'a [i64]>,
    /// `[users]`: whether the user comes from a test file, if there is any.
    pub test: Option<&'a [bool]>,
}

impl SplitRule {
    /// # Errors
    /// A setting that is missing or does nothing.
    pub fn check(&self) -> Result<()> {
        let times = (self.validation_from, self.test_from);
        match (self.by, times) {
            (SplitBy::Time, (Some(validation), Some(test))) if validation > test => misuse!(
                "the split's validation_from ({validation}) is later than its test_from ({test})"
            ),
            (SplitBy::Time, (Some(_), Some(_))) => {}
            (SplitBy::Time, _) => {
                misuse!("a split by time needs validation_from and test_from, in the log's unit")
            }
            (_, (None, None)) => {}
            _ => misuse!("validation_from and test_from are for a split by time only"),
        }
        if self.by != SplitBy::Seed && self.seed.is_some() {
            misuse!("the split's seed is for a split by seed only");
        }
        match (self.by, self.test_days) {
            (SplitBy::Days, None | Some(0)) => {
                misuse!("a split by days needs test_days, a number of days from 1")
            }
            (SplitBy::Days, _) | (_, None) => {}
            _ => misuse!("test_days is for a split by days only"),
        }
        if !self.is_of_sessions() && (self.event.is_some() || self.validation_share.is_some()) {
            misuse!("the split's event and validation_share are for a split by days or a given one")
        }
        if let Some(share) = self.validation_share
            && !(share > 0.0 && share < 1.0)
        {
            misuse!("validation_share = {share}: must be above 0 and below 1");
        }
        Ok(())
    }

    /// Whether the rules for sessions hold: items that nobody meets who trains or validates leave
    /// the test and the catalogue.
    pub fn is_of_sessions(&self) -> bool {
        matches!(self.by, SplitBy::Days | SplitBy::Given)
    }

    /// The event whose time is the user's.
    pub fn moment(&self) -> Moment {
        self.event.unwrap_or_default()
    }

    /// The rule with the defaults that it uses written out.
    pub fn settled(&self) -> SplitRule {
        let mut rule = self.clone();
        if self.by == SplitBy::Seed {
            rule.seed = Some(self.seed.unwrap_or(1));
        }
        if self.is_of_sessions() {
            rule.event = Some(self.moment());
            rule.validation_share = Some(self.validation_share.unwrap_or(VALIDATION_SHARE));
        }
        rule
    }

    /// The part of each user, `[users]`.
    ///
    /// # Errors
    /// A part without users; a split by something that is not known.
    pub fn apply(&self, facts: Facts) -> Result<Vec<Split>> {
        self.check()?;
        let users = facts.users;
        let split: Vec<Split> = match self.by {
            SplitBy::Hash => (0..users as u64).map(by_hash).collect(),
            SplitBy::Seed => by_seed(users, self.settled().seed.unwrap_or_default()),
            SplitBy::Time => self.by_time(facts)?,
            SplitBy::Days => {
                let times = times(facts)?;
                let latest = times.iter().max().copied().unwrap_or_default();
                let days = i64::from(self.test_days.unwrap_or_default());
                let from = latest.saturating_sub(days * DAY);
                self.latest_validate(facts, times.iter().map(|time| *time > from))
            }
            SplitBy::Given => match facts.test {
                Some(test) => self.latest_validate(facts, test.iter().copied()),
                None => misuse!("a given split needs a log with test files (test_files)"),
            },
        };
        for part in [Split::Train, Split::Validation, Split::Test] {
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

    fn by_time(&self, facts: Facts) -> Result<Vec<Split>> {
        let part = |time: &i64| match Some(*time) {
            time if time >= self.test_from => Split::Test,
            time if time >= self.validation_from => Split::Validation,
            _ => Split::Train,
        };
        Ok(times(facts)?.iter().map(part).collect())
    }

    /// Of the users who do not test, the latest share validates.
    fn latest_validate(&self, facts: Facts, test: impl Iterator<Item = bool>) -> Vec<Split> {
        let mut split: Vec<Split> =
            test.map(|test| if test { Split::Test } else { Split::Train }).collect();
        let mut rest: Vec<usize> =
            (0..facts.users).filter(|user| split[*user] == Split::Train).collect();
        if let Some(times) = facts.times {
            rest.sort_by_key(|user| times[*user]);
        }
        let share = self.validation_share.unwrap_or(VALIDATION_SHARE);
        let count = (share * rest.len() as f64).ceil() as usize;
        for user in &rest[rest.len() - count.min(rest.len())..] {
            split[*user] = Split::Validation;
        }
        split
    }
}

fn times(facts: Facts<'_>) -> Result<&[i64]> {
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

    fn of(users: usize) -> Facts<'static> {
        Facts { users, ..Facts::default() }
    }

    fn at(times: &[i64]) -> Facts<'_> {
        Facts { users: times.len(), times: Some(times), test: None }
    }

    fn letters(split: &[Split]) -> String {
        split.iter().map(|part| &part.name()[..2]).map(|name| name.replace("tr", "--")).collect()
    }

    fn count(split: &[Split]) -> [usize; 3] {
        [Split::Train, Split::Validation, Split::Test]
            .map(|part| split.iter().filter(|user| **user == part).count())
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
        let error = rule.apply(at(&[9, 30])).unwrap_err().to_string();
        assert!(error.contains("none of 2 users for validation"), "{error}");
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
        let all = SplitRule { test_days: Some(20), ..rule };
        let error = all.apply(at(&dates)).unwrap_err().to_string();
        assert!(error.contains("none of 6 users for train"), "{error}");
    }

    #[test]
    fn a_given_split_tests_the_test_files_and_validates_the_last_of_the_rest() {
        let rule = SplitRule { by: SplitBy::Given, ..SplitRule::default() };
        let test: Vec<bool> = (0..130).map(|user| user >= 101).collect();
        let facts = Facts { users: 130, times: None, test: Some(&test) };
        let split = rule.apply(facts).unwrap();
        // 2 % of 101 are 2.02.
        assert_eq!(count(&split), [98, 3, 29]);
        assert!(split[98..101].iter().all(|part| *part == Split::Validation));
        let times: Vec<i64> = (0..130).rev().collect();
        let split = rule.apply(Facts { times: Some(&times), ..facts }).unwrap();
        assert!(split[..3].iter().all(|part| *part == Split::Validation));
        assert!(rule.apply(of(5)).unwrap_err().to_string().contains("test files"));
    }

    #[test]
    fn defaults_that_are_used_are_written_out() {
        let given = SplitRule { by: SplitBy::Given, ..SplitRule::default() }.settled();
        assert_eq!((given.event, given.validation_share), (Some(Moment::Last), Some(0.02)));
        assert_eq!((given.seed, SplitRule::default().settled().seed), (None, Some(1)));
    }

    #[test]
    fn too_few_users_and_useless_settings_are_refused() {
        let default = SplitRule::default();
        assert!(default.apply(of(9)).unwrap_err().to_string().contains("for validation"));
        assert!(SplitRule { test_from: Some(1), ..default.clone() }.check().is_err());
        let hash = SplitRule { by: SplitBy::Hash, seed: Some(1), ..default.clone() };
        assert!(hash.check().is_err());
        let time = SplitRule { by: SplitBy::Time, test_from: Some(1), ..default.clone() };
        assert!(time.check().is_err());
        let days = SplitRule { by: SplitBy::Days, ..default.clone() };
        assert!(days.check().unwrap_err().to_string().contains("needs test_days"));
        assert!(SplitRule { test_days: Some(1), ..default.clone() }.check().is_err());
        assert!(SplitRule { event: Some(Moment::First), ..default.clone() }.check().is_err());
        let whole = SplitRule { validation_share: Some(1.0), test_days: Some(1), ..days };
        assert!(whole.check().unwrap_err().to_string().contains("validation_share = 1"));
        let crossed = SplitRule { validation_from: Some(2), ..time };
        assert!(crossed.check().unwrap_err().to_string().contains("later"));
    }
}
