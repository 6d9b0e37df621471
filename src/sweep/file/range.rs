//! An axis that is a range of numbers, for whoever draws from it.

use anyhow::Result;
use serde::Deserialize;
use toml::{Table, Value};

use crate::misuse;

/// Significant digits of what is drawn: more would tell nothing apart.
const DIGITS: i32 = 3;

/// Numbers from one to another, both included.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    from: f64,
    to: f64,
    /// Whether equal ratios, not equal differences, are as likely.
    #[serde(default)]
    log: bool,
    /// Whether whole numbers alone are drawn.
    #[serde(default)]
    integer: bool,
}

impl Range {
    /// The range that `table` describes.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that says what is wrong with it.
    pub fn of(table: &Table) -> Result<Self> {
        let range: Self = match table.clone().try_into() {
            Ok(range) => range,
            Err(error) => misuse!(
                "{}: a range is {{ from = 0.0, to = 2.0 }}, with log = true or integer = true where \
                 it is meant",
                error.to_string().trim()
            ),
        };
        let Self { from, to, log, integer } = range;
        if !(from.is_finite() && to.is_finite() && from < to) {
            misuse!("from = {from}, to = {to}: a range goes from a number to a larger one");
        }
        if log && from <= 0.0 {
            misuse!("from = {from}: a range with log = true starts above 0");
        }
        if integer && (from.fract() != 0.0 || to.fract() != 0.0) {
            misuse!("from = {from}, to = {to}: a range with integer = true has whole ends");
        }
        Ok(range)
    }

    /// The value at a place from 0 to 1, rounded to three digits.
    pub fn at(&self, place: f64) -> Value {
        let Self { from, to, log, integer } = *self;
        // A whole number is as likely as the next: the ends have half a number more each.
        let half = if integer { 0.5 } else { 0.0 };
        let (low, high) = (from - half, to + half);
        // Of whole numbers from 1 on, a range of ratios starts at one half.
        let value = match log {
            true => (low.ln() + place * (high.ln() - low.ln())).exp(),
            false => low + place * (high - low),
        };
        match integer {
            true => Value::Integer(value.round().clamp(from, to) as i64),
            false => Value::Float(rounded(value).clamp(from, to)),
        }
    }
}

fn rounded(value: f64) -> f64 {
    // Text is where decimal digits are exact.
    format!("{value:.*e}", DIGITS as usize - 1).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Range> {
        Range::of(&text.parse().unwrap())
    }

    #[test]
    fn what_is_drawn_spreads_evenly_and_reaches_both_ends() {
        let drawn = |text: &str| -> Vec<Value> {
            let range = range(text).unwrap();
            (0..=1000).map(|i| range.at(f64::from(i) / 1000.0)).collect()
        };
        let floats = |text: &str| -> Vec<f64> {
            drawn(text).iter().map(|value| value.as_float().unwrap()).collect()
        };
        let plain = floats("from = 0\nto = 2.0");
        assert_eq!((plain[0], plain[250], plain[1000]), (0.0, 0.5, 2.0));
        let log = floats("from = 0.001\nto = 10.0\nlog = true");
        assert_eq!((log[0], log[500], log[1000]), (0.001, 0.1, 10.0));
        // Three digits, in decimal.
        assert_eq!(floats("from = 0.0\nto = 1.0")[667], 0.667);
        let whole = drawn("from = 1\nto = 4\ninteger = true");
        for number in 1..=4 {
            let count = whole.iter().filter(|own| own.as_integer() == Some(number)).count();
            assert!((249..=251).contains(&count), "{number}: {count}");
        }
        let powers = drawn("from = 1\nto = 100\ninteger = true\nlog = true");
        assert_eq!((powers[0].as_integer(), powers[1000].as_integer()), (Some(1), Some(100)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (text, word) in [
            ("from = 1.0", "to"),
            ("from = 1.0\nto = 2.0\nlgo = true", "lgo"),
            ("from = 2.0\nto = 2.0", "larger"),
            ("from = 0.0\nto = nan", "larger"),
            ("from = 0.0\nto = 1.0\nlog = true", "above 0"),
            ("from = 0.5\nto = 2.0\ninteger = true", "whole"),
        ] {
            let error = range(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
