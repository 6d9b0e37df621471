//! Which users train, validate and test.

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::dataset::Split;
use crate::misuse;
use crate::random::{Purpose, stream};

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
}

/// How users are split and what that needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        Ok(())
    }

    /// The rule with the seed that it uses written out.
    pub fn settled(&self) -> SplitRule {
        let seed = (self.by == SplitBy::Seed).then(|| self.seed.unwrap_or(1));
        SplitRule { seed, ..self.clone() }
    }

    /// The part of each user, `[users]`. `last`: the time of each user's last event, if known.
    ///
    /// # Errors
    /// A part without users; a split by time of a log without times.
    pub fn apply(&self, users: usize, last: Option<&[i64]>) -> Result<Vec<Split>> {
        self.check()?;
        let split: Vec<Split> = match (self.by, last, self.validation_from, self.test_from) {
            (SplitBy::Time, Some(last), Some(validation), Some(test)) => last
                .iter()
                .map(|last| match *last {
                    last if last >= test => Split::Test,
                    last if last >= validation => Split::Validation,
                    _ => Split::Train,
                })
                .collect(),
            (SplitBy::Time, ..) => misuse!("a split by time needs a log with times (time)"),
            (SplitBy::Hash, ..) => (0..users as u64).map(by_hash).collect(),
            (SplitBy::Seed, ..) => by_seed(users, self.settled().seed.unwrap_or_default()),
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
        let first = split.apply(60, None).unwrap();
        let letters: String =
            letters(&first).replace("--", "-").replace("te", "t").replace("va", "v");
        assert_eq!(letters, expected);
        assert_eq!(count(&split.apply(40_226, None).unwrap()), [32_181, 4_019, 4_026]);
        assert_eq!(by_hash(1_000_002), Split::Test);
        assert_eq!(by_hash(1_000_003), Split::Validation);
        assert_eq!(by_hash(1_000_000), Split::Train);
    }

    #[test]
    fn the_seed_split_is_8_1_1_and_depends_on_the_seed() {
        let by = |seed| SplitRule { seed: Some(seed), ..SplitRule::default() };
        let one = by(1).apply(1_000, None).unwrap();
        assert_eq!(count(&one), [800, 100, 100]);
        assert_eq!(count(&by(1).apply(10, None).unwrap()), [8, 1, 1]);
        assert_eq!(one, by(1).apply(1_000, None).unwrap());
        assert_eq!(one, SplitRule::default().apply(1_000, None).unwrap());
        assert_ne!(one, by(2).apply(1_000, None).unwrap());
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
        let split = rule.apply(5, Some(&[9, 10, 19, 20, 21])).unwrap();
        use Split::{Test, Train, Validation};
        assert_eq!(split, [Train, Validation, Validation, Test, Test]);
        assert!(rule.apply(5, None).is_err());
        let error = rule.apply(2, Some(&[9, 30])).unwrap_err().to_string();
        assert!(error.contains("none of 2 users for validation"), "{error}");
    }

    #[test]
    fn too_few_users_and_useless_settings_are_refused() {
        let default = SplitRule::default();
        assert!(default.apply(9, None).unwrap_err().to_string().contains("for validation"));
        assert!(SplitRule { test_from: Some(1), ..default.clone() }.check().is_err());
        let hash = SplitRule { by: SplitBy::Hash, seed: Some(1), ..default.clone() };
        assert!(hash.check().is_err());
        let time = SplitRule { by: SplitBy::Time, test_from: Some(1), ..default.clone() };
        assert!(time.check().is_err());
        let crossed = SplitRule { validation_from: Some(2), ..time };
        assert!(crossed.check().unwrap_err().to_string().contains("later"));
    }
}
