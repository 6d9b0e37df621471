//! When a log begins and ends.

use serde::{Deserialize, Serialize};

use super::interactions::Interactions;
use super::read::time;

/// The first and the last time of a log, of all its events that `keep` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// In the unit of the log; of dates, seconds since 1970, UTC.
    pub first: i64,
    pub last: i64,
    /// Whether the log writes dates.
    pub dates: bool,
}

impl Span {
    /// Of a log's days, or else of its times; `None` if it has neither.
    pub fn of(events: &Interactions) -> Option<Span> {
        let times = events.day.as_ref().or(events.time.as_ref())?;
        let (first, last) = (*times.iter().min()?, *times.iter().max()?);
        Some(Span { first, last, dates: events.dates })
    }

    /// A time as the log writes it: a date or a number.
    pub fn text(&self, moment: i64) -> String {
        if self.dates { time::date(moment) } else { moment.to_string() }
    }
}
