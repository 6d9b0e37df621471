//! `[split]` of a description: how users are told apart, and what that needs.

use std::fmt;

use anyhow::Result;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::read::time::parse;
use crate::misuse;

/// What validates of the users who do not test, where the split does not say.
const VALIDATION_SHARE: f64 = 0.02;

/// How users are split; [`SplitBy::about`] says what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    #[default]
    Seed,
    Hash,
    Time,
    Days,
    Given,
    Cut,
    LeaveOneOut,
    None,
}

impl SplitBy {
    /// Every way, in the order of help.
    pub const ALL: [SplitBy; 8] = [
        SplitBy::Seed,
        SplitBy::Hash,
        SplitBy::Time,
        SplitBy::Days,
        SplitBy::Given,
        SplitBy::Cut,
        SplitBy::LeaveOneOut,
        SplitBy::None,
    ];

    /// The name in descriptions and options.
    pub fn name(self) -> &'static str {
        match self {
            SplitBy::Seed => "seed",
            SplitBy::Hash => "hash",
            SplitBy::Time => "time",
            SplitBy::Days => "days",
            SplitBy::Given => "given",
            SplitBy::Cut => "cut",
            SplitBy::LeaveOneOut => "leave-one-out",
            SplitBy::None => "none",
        }
    }

    /// What it is, for help.
    pub fn about(self) -> &'static str {
        match self {
            SplitBy::Seed => "8:1:1 after a shuffle",
            SplitBy::Hash => {
                "8:1:1 by a fixed hash of the user's index: the same for everyone who prepares the \
                 same log"
            }
            SplitBy::Time => "By the time of the user's last event",
            SplitBy::Days => {
                "The latest days test; of the others the latest users validate. For sessions"
            }
            SplitBy::Given => {
                "The users of the test files test; of the others the latest validate. For sessions"
            }
            SplitBy::Cut => {
                "What is before a moment trains, what is after tests, of every user; before it a \
                 window validates"
            }
            SplitBy::LeaveOneOut => {
                "Of every user the last item tests and the last but one validates"
            }
            SplitBy::None => "Everything trains, and nothing is measured",
        }
    }
}

/// One of a user's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    First,
    #[default]
    Last,
}

impl Moment {
    /// Both.
    pub const ALL: [Moment; 2] = [Moment::First, Moment::Last];

    /// The name in descriptions and options.
    pub fn name(self) -> &'static str {
        match self {
            Moment::First => "first",
            Moment::Last => "last",
        }
    }
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
    /// A number in the unit of the log, or a date, of seconds since 1970. For `time`: users whose
    /// last event is at or after it validate, unless they test, so that nothing that is trained on
    /// is later. For `cut`: what is at or after it is not trained on, and validates up to `test_from`.
    #[serde(default, deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub validation_from: Option<i64>,
    /// As `validation_from`. For `time`: users whose last event is at or after it test. For `cut`:
    /// what is at or after it tests.
    #[serde(default, deserialize_with = "time", skip_serializing_if = "Option::is_none")]
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
    /// About one item in so many is cold: no sequence keeps it. See [`super::Cold`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_one_in: Option<u32>,
    /// Which of these parts of the items is the cold one, from 0; 0 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_part: Option<u32>,
}

/// A time as a number, or as a date in quotes.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    struct Time;
    impl Visitor<'_> for Time {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a whole number in the log's unit, or a date in quotes like \"2011-11-01\"")
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Option<i64>, E> {
            Ok(Some(number))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Option<i64>, E> {
            let known = parse(text).map(Some);
            known.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    from.deserialize_any(Time)
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
            (SplitBy::Cut, (Some(validation), Some(test))) if validation >= test => misuse!(
                "the split's validation_from ({validation}) must be before its test_from ({test})"
            ),
            (SplitBy::Time | SplitBy::Cut, (Some(_), Some(_))) => {}
            (SplitBy::Time | SplitBy::Cut, _) => misuse!(
                "a split by time or cut needs validation_from and test_from, numbers in the log's \
                 unit or dates"
            ),
            (_, (None, None)) => {}
            _ => misuse!("validation_from and test_from are for a split by time or cut only"),
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
        self.check_cold()
    }

    /// Whether the rules for sessions hold: items that nobody meets who trains or validates leave
    /// the test and the catalogue.
    pub fn is_of_sessions(&self) -> bool {
        matches!(self.by, SplitBy::Days | SplitBy::Given)
    }

    /// Whether sequences are split, not users.
    pub fn is_within_users(&self) -> bool {
        matches!(self.by, SplitBy::Cut | SplitBy::LeaveOneOut)
    }

    /// The event whose time is the user's.
    pub fn moment(&self) -> Moment {
        self.event.unwrap_or_default()
    }

    /// The share of the users who do not test that validates.
    pub fn share(&self) -> f64 {
        self.validation_share.unwrap_or(VALIDATION_SHARE)
    }

    /// The rule with the defaults that it uses written out.
    pub fn settled(&self) -> SplitRule {
        let mut rule = self.clone();
        if self.by == SplitBy::Seed {
            rule.seed = Some(self.seed.unwrap_or(1));
        }
        rule.cold_part = self.cold_one_in.map(|_| self.cold_part.unwrap_or_default());
        if self.is_of_sessions() {
            rule.event = Some(self.moment());
            rule.validation_share = Some(self.share());
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_that_are_used_are_written_out() {
        let given = SplitRule { by: SplitBy::Given, ..SplitRule::default() }.settled();
        assert_eq!((given.event, given.validation_share), (Some(Moment::Last), Some(0.02)));
        assert_eq!((given.seed, SplitRule::default().settled().seed), (None, Some(1)));
    }

    #[test]
    fn names_are_those_of_descriptions() {
        let read = |text: String| toml::from_str::<SplitRule>(&text).unwrap();
        for by in SplitBy::ALL {
            assert_eq!(read(format!("by = \"{}\"", by.name())).by, by);
        }
        for moment in Moment::ALL {
            assert_eq!(read(format!("event = \"{}\"", moment.name())).moment(), moment);
        }
    }

    #[test]
    fn times_are_numbers_or_dates() {
        let read = |time: &str| toml::from_str::<SplitRule>(&format!("test_from = {time}"));
        assert_eq!(read("-7").unwrap().test_from, Some(-7));
        assert_eq!(read("\"2016-05-09T10:11:12\"").unwrap().test_from, Some(1_462_788_672));
        for wrong in ["\"soon\"", "2016-05-09", "1.5"] {
            let said = read(wrong).unwrap_err().to_string();
            assert!(said.contains("a date in quotes like"), "{said}");
        }
    }

    #[test]
    fn useless_settings_are_refused() {
        let default = SplitRule::default();
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
