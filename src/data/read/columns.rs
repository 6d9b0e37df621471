//! The columns that are wanted of a log: finding them, filtering their rows, taking ids and times.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, anyhow};
use polars::prelude::StringChunked;

use super::time;
use super::told_by_log::ToldByLog;
use crate::config::nearest;
use crate::data::interactions::Builder;
use crate::error::{Misuse, short};

/// What the readers of tables look for, and where they put it.
pub(super) struct Reader<'a> {
    pub user: &'a str,
    pub item: &'a str,
    pub time: Option<&'a str>,
    pub day: Option<&'a str>,
    pub keep: Vec<(&'a str, HashSet<&'a str>)>,
    /// Columns that tell of items and users.
    pub told: ToldByLog<'a>,
    pub header: bool,
    pub builder: Builder,
    pub left_out: u64,
    pub progress: &'a mut dyn FnMut(u64),
    /// Bytes of the files before the present one.
    pub done: u64,
}

/// The wanted columns of a piece of a table, all of the same length.
pub(super) struct Columns<'a> {
    pub user: &'a StringChunked,
    pub item: &'a StringChunked,
    pub time: Option<&'a StringChunked>,
    pub day: Option<&'a StringChunked>,
    /// In the order of [`Reader::keep`].
    pub keep: Vec<&'a StringChunked>,
    /// In the order of [`ToldByLog::columns`].
    pub told: Vec<&'a StringChunked>,
}

/// Who takes the rows of a table of text.
pub(super) trait Rows {
    /// Whether the first record names the columns.
    fn has_header(&self) -> bool;

    /// The names of the wanted columns; one may be there more than once.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// Takes the rows of a piece of the table at `path`. `get` finds a wanted column by its name,
    /// `line` tells where row number `n` of the piece begins.
    fn take_rows<'c>(
        &mut self,
        get: &dyn Fn(&str) -> Result<&'c StringChunked>,
        path: &Path,
        line: &dyn Fn(usize) -> usize,
    ) -> Result<()>;

    /// Is told the bytes of the file on disk that have been gone through.
    fn went_by(&mut self, bytes: u64);
}

impl Rows for Reader<'_> {
    fn has_header(&self) -> bool {
        self.header
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted()
    }

    fn take_rows<'c>(
        &mut self,
        get: &dyn Fn(&str) -> Result<&'c StringChunked>,
        path: &Path,
        line: &dyn Fn(usize) -> usize,
    ) -> Result<()> {
        let columns = self.columns(get)?;
        self.take(&columns, |row| at(path, line(row)))
    }

    fn went_by(&mut self, bytes: u64) {
        (self.progress)(self.done + bytes);
    }
}

impl Reader<'_> {
    /// Events seen so far, those left out included.
    pub(super) fn seen(&self) -> u64 {
        self.builder.len() as u64 + self.left_out
    }

    /// The names of the wanted columns; one may be wanted in more than one role.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &str> {
        let keep = self.keep.iter().map(|(column, _)| *column);
        let own = [self.user, self.item].into_iter().chain(self.time).chain(self.day);
        own.chain(keep).chain(self.told.columns())
    }

    /// Whether rows may have nothing in this column.
    pub(super) fn is_optional(&self, column: &str) -> bool {
        let required = self.wanted().count() - self.told.columns().count();
        !self.wanted().take(required).any(|name| name == column)
    }

    /// The wanted columns, each found by `get`, which is given its name.
    pub(super) fn columns<'c>(
        &self,
        mut get: impl FnMut(&str) -> Result<&'c StringChunked>,
    ) -> Result<Columns<'c>> {
        Ok(Columns {
            user: get(self.user)?,
            item: get(self.item)?,
            time: self.time.map(&mut get).transpose()?,
            day: self.day.map(&mut get).transpose()?,
            keep: self.keep.iter().map(|(column, _)| get(column)).collect::<Result<_>>()?,
            told: self.told.columns().map(get).collect::<Result<_>>()?,
        })
    }

    /// Takes the rows that pass the filters. `place` tells where row number `n` of the piece
    /// stands ("FILE:LINE"), for errors.
    pub(super) fn take(
        &mut self,
        columns: &Columns,
        place: impl Fn(usize) -> String,
    ) -> Result<()> {
        let mut kept = vec![true; columns.user.len()];
        for (column, (_, values)) in columns.keep.iter().zip(&self.keep) {
            for (kept, value) in kept.iter_mut().zip(column.iter()) {
                *kept &= values.contains(value.unwrap_or_default());
            }
        }
        let mut times = columns.time.map(|column| column.iter());
        let mut days = columns.day.map(|column| column.iter());
        let mut told: Vec<_> = columns.told.iter().map(|column| column.iter()).collect();
        for (row, (user, item)) in columns.user.iter().zip(columns.item.iter()).enumerate() {
            let [time, day] = [&mut times, &mut days]
                .map(|column| column.as_mut().map(|c| c.next().flatten().unwrap_or_default()));
            let told = told.iter_mut().map(|column| column.next().flatten().unwrap_or_default());
            if !kept[row] {
                told.for_each(drop);
                self.left_out += 1;
                continue;
            }
            let id = |id: Option<&'_ str>, role, column| match id {
                Some(id) if !id.is_empty() => Ok(()),
                _ => Err(anyhow!("{}: the {role} id (column `{column}`) is empty", place(row))),
            };
            id(user, "user", self.user)?;
            id(item, "item", self.item)?;
            let parsed = |text: Option<&str>, column: Option<&str>| match text {
                None => Ok(None),
                Some(text) => time::fine(text).map(Some).ok_or_else(|| {
                    anyhow!(
                        "{}: {:?} (column `{}`) is no time: expected a number, or a date like \
                         2016-05-09 or 2016-05-09T10:11:12",
                        place(row),
                        short(text),
                        column.unwrap_or_default()
                    )
                }),
            };
            if self.builder.len() == 0 {
                self.builder.set_dates(day.or(time).is_some_and(time::is_date));
            }
            let (time, day) = (parsed(time, self.time)?, parsed(day, self.day)?);
            let whole = time.map(|(whole, _)| whole);
            self.builder.push(user.unwrap_or_default(), item.unwrap_or_default(), whole)?;
            self.told.take(self.builder.last(), told, || place(row))?;
            time.into_iter().for_each(|(_, part)| self.builder.push_part(part));
            day.into_iter().for_each(|(day, _)| self.builder.push_day(day));
        }
        Ok(())
    }
}

/// Columns that are named where one is missing.
const SHOWN: usize = 40;

/// What is said when `place` (a file, a line) has no column of that name.
pub(super) fn no_column(place: &str, name: &str, known: &[String]) -> anyhow::Error {
    let likely = nearest(name, known.iter().take(SHOWN).map(String::as_str));
    let likely = likely.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    let known: Vec<String> = known.iter().take(SHOWN).map(|name| short(name)).collect();
    let known = known.join(", ") + more;
    anyhow::Error::new(Misuse(format!(
        "{place} has no column `{name}`{likely} (there are: {known})"
    )))
}

/// "FILE:LINE"
pub(super) fn at(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}
