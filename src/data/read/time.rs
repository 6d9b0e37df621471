//! Times as logs write them: numbers, dates, dates with a time of day.

/// The time that `text` tells: a number as it stands (decimals are cut off towards the past), a
/// date or date with time (UTC) as seconds since 1970. `None` if it is none of these.
pub(crate) fn parse(text: &str) -> Option<i64> {
    told(text).map(|told| told.whole)
}

/// A time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    /// What [`parse`] gives.
    pub whole: i64,
    /// The part that is cut off, in billionths.
    pub part: u32,
    /// Whether it was a date, not a number.
    pub is_date: bool,
}

/// [`parse`], with all that the text tells.
pub(super) fn told(text: &str) -> Option<Told> {
    let text = text.trim();
    let of = |is_date| move |(whole, part)| Told { whole, part, is_date };
    number(text).map(of(false)).or_else(|| date_time(text).map(of(true)))
}

/// Seconds since 1970 as the date or date with time (UTC) that [`parse`] reads as them.
pub(in crate::data) fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`, the way back from `days_since_1970`.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    match second {
        0 => date,
        _ => format!("{date}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60),
    }
}

fn number(text: &str) -> Option<(i64, u32)> {
    text.parse().ok().map(|whole| (whole, 0)).or_else(|| decimal(text))
}

fn decimal(text: &str) -> Option<(i64, u32)> {
    // Digits alone are taken as they stand: of a time since 1970 a float keeps six behind the point.
    if let Some((whole, part)) = text.split_once('.')
        && [whole, part].iter().all(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        && let Ok(whole) = whole.parse()
    {
        return Some((whole, billionths(part)));
    }
    // Rust reads "inf" and "nan" as numbers too; a time never is.
    let plain = |b: u8| b.is_ascii_digit() || b".eE+-".contains(&b);
    let value = text.bytes().all(plain).then(|| text.parse::<f64>().ok())??;
    let whole = value.floor();
    let part = ((value - whole) * 1e9) as u32;
    (whole.abs() < i64::MAX as f64).then_some((whole as i64, part))
}

fn date_time(text: &str) -> Option<(i64, u32)> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let (second, part) = time.map_or(Some((0, 0)), seconds)?;
    Some((days_since_1970(year, month, day) * 86_400 + second, part))
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`, perhaps with `Z`, ` UTC` or what it is ahead of UTC after
/// it, as of UTC.
fn seconds(text: &str) -> Option<(i64, u32)> {
    let (text, ahead) = match text.rfind(['+', '-']) {
        Some(at) => (text[..at].trim_end(), ahead_of_utc(&text[at..])?),
        None => (text.strip_suffix('Z').or(text.strip_suffix(" UTC")).unwrap_or(text), 0),
    };
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) if part.bytes().all(|b| b.is_ascii_digit()) => (whole, part),
        Some(_) => return None,
        None => (text, ""),
    };
    let part = billionths(part);
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])
        .or_else(|| numbers(&format!("{whole}:00"), ':', [2, 2, 2]))?;
    let good = hour < 24 && minute < 60 && second < 61;
    good.then_some((hour * 3_600 + minute * 60 + second - ahead, part))
}

/// Seconds of `+hh:mm`, `+hhmm` or `+hh`, or with `-`.
fn ahead_of_utc(text: &str) -> Option<i64> {
    let (sign, told) = text.split_at_checked(1)?;
    let (hour, minute) = match told.split_once(':') {
        Some(both) => both,
        None if told.len() == 4 => told.split_at_checked(2)?,
        None => (told, "00"),
    };
    let [hour, minute, _] = numbers(&format!("{hour}:{minute}:00"), ':', [2, 2, 2])?;
    let seconds = (hour < 24 && minute < 60).then_some(hour * 3_600 + minute * 60)?;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// The digits behind a point, of which nine count.
fn billionths(digits: &str) -> u32 {
    let digit = |at| digits.as_bytes().get(at).map_or(0, |digit| u32::from(digit - b'0'));
    (0..9).fold(0, |part, at| 10 * part + digit(at))
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let good = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *number = good.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine(text: &str) -> Option<(i64, u32)> {
        told(text).map(|told| (told.whole, told.part))
    }

    #[test]
    fn numbers_stand_as_they_are() {
        assert_eq!(parse("1344860"), Some(1_344_860));
        assert_eq!((parse("007"), parse("+5")), (Some(7), Some(5)));
        assert_eq!(parse(&"9".repeat(18)), Some(999_999_999_999_999_999));
        assert_eq!(parse("9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse("000000000000000000000001"), Some(1));
        assert_eq!(parse(" -5 "), Some(-5));
        assert_eq!(parse("1344860.0"), Some(1_344_860));
        assert_eq!(parse("1344860.9"), Some(1_344_860));
        assert_eq!(parse("-0.5"), Some(-1));
        assert_eq!(parse("1.4657088e9"), Some(1_465_708_800));
        assert_eq!(fine("-0.25"), Some((-1, 750_000_000)));
        assert_eq!(fine("1700000000.1234567"), Some((1_700_000_000, 123_456_700)));
        assert_eq!(fine("1700000000.1234568"), Some((1_700_000_000, 123_456_800)));
        assert_eq!((fine("5."), fine(".5")), (Some((5, 0)), Some((0, 500_000_000))));
        assert_eq!(fine("1344860"), Some((1_344_860, 0)));
    }

    #[test]
    fn dates_become_seconds() {
        // From Python's datetime(...).timestamp() in UTC.
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("2016-05-09"), Some(1_462_752_000));
        assert_eq!(parse("2016-05-09T10:11:12"), Some(1_462_788_672));
        assert_eq!(parse("2016-05-09 10:11:12"), Some(1_462_788_672));
        assert_eq!(parse("2016-05-09 10:11"), Some(1_462_788_660));
        assert_eq!(parse("2014-04-07T10:51:09.277Z"), Some(1_396_867_869));
        assert_eq!(fine("2014-04-07T10:51:09.277Z"), Some((1_396_867_869, 277_000_000)));
        for text in ["12:11:12+02:00", "12:11:12 +0200", "12:11:12+02", "04:41:12.5-05:30"] {
            assert_eq!(parse(&format!("2016-05-09T{text}")), Some(1_462_788_672), "{text}");
        }
        assert_eq!(parse("2016-05-09 10:11:12 UTC"), Some(1_462_788_672));
        assert_eq!(parse("2016-05-09 10:11:12+00:00"), Some(1_462_788_672));
        assert_eq!(parse("2000-02-29"), Some(951_782_400));
        assert_eq!(parse("1969-12-31T23:59:59"), Some(-1));
    }

    #[test]
    fn seconds_are_written_as_the_dates_that_they_were_read_from() {
        for text in ["1970-01-01", "2016-05-09T10:11:12", "2000-02-29", "1969-12-31T23:59:59"] {
            assert_eq!(date(parse(text).unwrap()), text);
            assert!(told(text).unwrap().is_date && !told("1462752000").unwrap().is_date);
        }
    }

    #[test]
    fn every_day_is_one_after_the_day_before() {
        let mut expected = days_since_1970(1899, 12, 31);
        for year in 1900..2101 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    expected += 1;
                    assert_eq!(days_since_1970(year, month, day), expected);
                    assert_eq!(date(expected * 86_400), format!("{year}-{month:02}-{day:02}"));
                }
            }
        }
        assert_eq!(days_since_1970(2101, 1, 1), 47_847);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "soon",
            "nan",
            "inf",
            "1e40",
            "2016-13-01",
            "2015-02-29",
            "2016-5-9",
            "2016/05/09",
            "2016-05-09T25:00:00",
            "2016-05-09T10",
            "2016-05-09T10:11:12+2",
            "2016-05-09T10:11:12+24:00",
            "2016-05-09T10:11:12+02:60",
            "2016-05-09T10:11:12+02:00:00",
            "2016-05-09T10:11:12+",
            "2016-05-09T+02:00",
            "2016-05-09+02:00",
            "2016-05-09T10:11:12 CET",
            "1 2",
            "--",
            "é",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
