//! What one thread takes of a piece of a log, row by row: filtered, ids as numbers, times parsed.

use std::collections::HashSet;

use anyhow::{Result, anyhow};
use foldhash::fast::RandomState;

use super::time::{self, Told};
use super::told_by_log::{ToldByLog, ToldCell};
use crate::data::interactions::{Builder, Piece};
use crate::error::short;

/// The columns of a log that events are made of.
pub(super) struct Wanted<'a> {
    pub user: &'a str,
    pub item: &'a str,
    pub time: Option<&'a str>,
    pub day: Option<&'a str>,
    pub keep: Vec<(&'a str, Kept<'a>)>,
}

/// The values of a column that let an event pass.
pub(super) struct Kept<'a> {
    texts: HashSet<&'a str, RandomState>,
    numbers: Vec<f64>,
}

impl<'a> Kept<'a> {
    pub fn new(values: &'a [String]) -> Kept<'a> {
        let texts = values.iter().map(String::as_str).collect();
        let mut numbers: Vec<f64> = values.iter().filter_map(|value| number(value)).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        Kept { texts, numbers }
    }

    /// Texts pass as they are, numbers however they are written: a column of fractions has 4.0 for 4.
    fn lets(&self, cell: &str) -> bool {
        let is_there =
            |own: f64| self.numbers.binary_search_by(|number| number.total_cmp(&own)).is_ok();
        self.texts.contains(cell)
            || (!self.numbers.is_empty() && number(cell).is_some_and(is_there))
    }
}

/// A number that no other whole number is taken for; 007 is a code.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let [b'0', b'0'..=b'9', ..] = text.trim_start_matches(['+', '-']).as_bytes() {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Of both zeros one.
    (number.abs() < (1i64 << f64::MANTISSA_DIGITS) as f64).then_some(number + 0.0)
}

impl Wanted<'_> {
    /// Their names, in the order in which a row has its cells.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let keep = self.keep.iter().map(|(column, _)| *column);
        [self.user, self.item].into_iter().chain(self.time).chain(self.day).chain(keep)
    }
}

/// Takes the rows of a piece. What the log holds before the piece is not touched meanwhile.
pub(super) struct Worker<'k> {
    wanted: &'k Wanted<'k>,
    known: &'k Builder,
    told: &'k ToldByLog<'k>,
    place: &'k dyn Fn(usize) -> String,
    /// Of the rows that are taken at once, those that pass the filters.
    kept: Vec<usize>,
    worked: Worked,
}

/// Of the column of times and of that of days, where there is one, whether it holds dates.
pub(super) type Dates = [Option<bool>; 2];

/// What came of a piece.
pub(super) struct Worked {
    pub events: Piece,
    /// Whether times and days are dates, and the line of the first event; `None` without events.
    pub dates: Option<(Dates, usize)>,
    pub left_out: u64,
    /// Cells that may be news.
    pub told: Vec<ToldCell>,
    /// What ended the piece, behind these events.
    pub end: Result<()>,
}

impl<'k> Worker<'k> {
    pub fn new(
        wanted: &'k Wanted,
        known: &'k Builder,
        told: &'k ToldByLog,
        place: &'k dyn Fn(usize) -> String,
    ) -> Worker<'k> {
        let events = Piece::behind(known);
        let worked = Worked { events, dates: None, left_out: 0, told: vec![], end: Ok(()) };
        Worker { wanted, known, told, place, kept: vec![], worked }
    }

    pub fn finish(self, end: Result<()>) -> Worked {
        Worked { end, ..self.worked }
    }

    /// Takes the rows that pass the filters, each of which begins in its line of `lines`. `cell` gives
    /// a cell by row and column: first those of [`Wanted::columns`], then those of
    /// [`ToldByLog::columns`].
    pub fn rows<'c>(
        &mut self,
        lines: &[usize],
        cell: impl Fn(usize, usize) -> &'c str,
    ) -> Result<()> {
        let before = self.worked.events.len();
        let mut end = Ok(());
        self.kept.clear();
        for (row, line) in lines.iter().enumerate() {
            match self.time(*line, |column| cell(row, column)) {
                Ok(true) => self.kept.push(row),
                Ok(false) => self.worked.left_out += 1,
                Err(wrong) => {
                    end = Err(wrong);
                    break;
                }
            }
        }
        let cell = &cell;
        let ids = |column: usize| self.kept.iter().map(move |row| cell(*row, column));
        self.worked.events.push_ids(self.known, ids(0), ids(1))?;
        let told = self.wanted.columns().count();
        for (event, row) in (before..).zip(&self.kept) {
            let numbers = self.worked.events.numbers(event);
            for column in 0..self.told.columns().count() {
                let cell = cell(*row, told + column);
                if !self.told.says(column, numbers, cell) {
                    let (cell, line) = (cell.to_owned(), lines[*row]);
                    self.worked.told.push(ToldCell { event, column, cell, line });
                }
            }
        }
        end
    }

    /// Appends the time of a row, if it passes the filters; says whether it does.
    fn time<'c>(&mut self, line: usize, cell: impl Fn(usize) -> &'c str) -> Result<bool> {
        let wanted = self.wanted;
        let columns = [wanted.time, wanted.day];
        let time = columns[0].map(|_| cell(2));
        let day = columns[1].map(|_| cell(2 + usize::from(time.is_some())));
        let others = 2 + columns.iter().flatten().count();
        let mut keep = wanted.keep.iter().zip(others..);
        if !keep.all(|((_, values), column)| values.lets(cell(column))) {
            return Ok(false);
        }
        self.check_id(line, cell(0), "user", wanted.user)?;
        self.check_id(line, cell(1), "item", wanted.item)?;
        let (time, day) =
            (self.parsed(line, time, wanted.time)?, self.parsed(line, day, wanted.day)?);
        let own = [time, day].map(|told| Some(told?.is_date));
        let (dates, _) = *self.worked.dates.get_or_insert((own, line));
        if own != dates {
            return Err(mixed_times(&(self.place)(line)));
        }
        self.worked
            .events
            .push_time(time.map(|time| (time.whole, time.part)), day.map(|day| day.whole));
        Ok(true)
    }

    fn check_id(&self, line: usize, id: &str, role: &str, column: &str) -> Result<()> {
        match id.is_empty() {
            true => {
                Err(anyhow!("{}: the {role} id (column `{column}`) is empty", (self.place)(line)))
            }
            false => Ok(()),
        }
    }

    fn parsed(
        &self,
        line: usize,
        text: Option<&str>,
        column: Option<&str>,
    ) -> Result<Option<Told>> {
        let Some(text) = text else { return Ok(None) };
        let time = time::told(text).ok_or_else(|| {
            anyhow!(
                "{}: {:?} (column `{}`) is no time: expected a number, or a date like 2016-05-09 \
                 or 2016-05-09T10:11:12",
                (self.place)(line),
                short(text),
                column.unwrap_or_default()
            )
        })?;
        Ok(Some(time))
    }
}

/// Of a line whose time is written otherwise than those before it: both would be taken for seconds.
pub(super) fn mixed_times(place: &str) -> anyhow::Error {
    anyhow!("{place}: the times before are dates and this one is a number, or the other way round")
}
