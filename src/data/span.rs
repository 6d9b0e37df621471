//! When a log begins and ends.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::interactions::Interactions;
use super::read::time;
use crate::misuse;

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

    /// Refuses moments that leave nothing before the first or from the second on. `whose`: of what
    /// the span is.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with both and the span.
    pub fn refuse_outside(&self, validation: i64, test: i64, whose: &str) -> Result<()> {
        if validation <= self.first || test > self.last {
            let hint = match self.dates {
                true => "",
                false => " (in the log's own unit; a date stands for seconds since 1970)",
            };
            misuse!(
                "the split's validation_from ({}) and test_from ({}) must lie within {whose}, whose \
                 times go from {} to {}{hint}",
                self.text(validation),
                self.text(test),
                self.text(self.first),
                self.text(self.last)
            );
        }
        Ok(())
    }

    /// A time as the log writes it: a date or a number.
    pub fn text(&self, moment: i64) -> String {
        if self.dates { time::date(moment) } else { moment.to_string() }
    }
}
