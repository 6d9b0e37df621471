//! The columns that are wanted of a log: finding them, taking what is in them.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;

use super::blocks::Block;
use super::told_by_log::ToldByLog;
use super::worker::{Dates, Wanted, Worked, Worker, mixed_times};
use crate::config::nearest;
use crate::data::interactions::Builder;
use crate::error::{Misuse, short};

/// What the readers of tables look for, and where they put it.
pub(super) struct Reader<'a> {
    pub wanted: Wanted<'a>,
    /// Columns that tell of items and users.
    pub told: ToldByLog<'a>,
    pub header: bool,
    pub builder: Builder,
    /// Of the events so far.
    pub dates: Option<Dates>,
    pub left_out: u64,
    pub progress: &'a mut dyn FnMut(u64),
    /// Bytes of the files before the present one.
    pub done: u64,
}

/// Takes some rows: the number of the line that each begins in, and row by row their cells in the
/// order of [`Rows::names`].
pub(super) type TakeRows<'r> = &'r mut dyn FnMut(&[usize], &[Cow<str>]) -> Result<()>;

/// Who takes the rows of a table of text.
pub(super) trait Rows {
    /// Whether the first record names the columns.
    fn has_header(&self) -> bool;

    /// The names of the wanted columns; one may be there more than once.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// Takes the rows of pieces of the table at `path`, as if one after another; `rows` cuts a piece.
    fn take_rows(
        &mut self,
        path: &Path,
        pieces: &[Block<&str>],
        rows: impl Fn(&Block<&str>, TakeRows) -> Result<()> + Sync,
    ) -> Result<()>;

    /// Is told the bytes of the file on disk that have been gone through.
    fn went_by(&mut self, bytes: u64);
}

impl Rows for Reader<'_> {
    fn has_header(&self) -> bool {
        self.header
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns()
    }

    fn take_rows(
        &mut self,
        path: &Path,
        pieces: &[Block<&str>],
        rows: impl Fn(&Block<&str>, TakeRows) -> Result<()> + Sync,
    ) -> Result<()> {
        let width = self.columns().count();
        self.take(pieces, &|line| at(path, line), |piece, worker| {
            rows(piece, &mut |lines, cells| {
                worker.rows(lines, |row, column| &cells[row * width + column])
            })
        })
    }

    fn went_by(&mut self, bytes: u64) {
        (self.progress)(self.done + bytes);
    }
}

impl Reader<'_> {
    /// Events seen so far, those left out included.
    pub fn seen(&self) -> u64 {
        self.builder.len() as u64 + self.left_out
    }

    /// The names of the wanted columns; one may be wanted in more than one role.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.wanted.columns().chain(self.told.columns())
    }

    /// Whether rows may have nothing in this column.
    pub fn is_optional(&self, column: &str) -> bool {
        !self.wanted.columns().any(|name| name == column)
    }

    /// Has pieces of a log worked on by all threads, and takes what comes of them in their order.
    /// `place` tells where a row stands by its line ("FILE:LINE"), for errors.
    ///
    /// # Errors
    /// The first in the order of the log.
    pub fn take<P: Sync>(
        &mut self,
        pieces: &[P],
        place: &(dyn Fn(usize) -> String + Sync),
        work: impl Fn(&P, &mut Worker) -> Result<()> + Sync,
    ) -> Result<()> {
        let of_piece = |piece: &P| {
            let mut worker = Worker::new(&self.wanted, &self.builder, &self.told, place);
            let end = work(piece, &mut worker);
            worker.finish(end)
        };
        let all: Vec<Worked> = pieces.par_iter().map(of_piece).collect();
        all.into_iter().try_for_each(|worked| self.append(worked, place))
    }

    fn append(&mut self, worked: Worked, place: &dyn Fn(usize) -> String) -> Result<()> {
        let before = self.builder.len();
        if let Some((dates, line)) = worked.dates {
            let [time, day] = dates;
            if *self.dates.get_or_insert(dates) != dates {
                return Err(mixed_times(&place(line)));
            }
            self.builder.set_dates(day.or(time) == Some(true));
        }
        self.builder.append(worked.events)?;
        self.left_out += worked.left_out;
        for told in &worked.told {
            let numbers = self.builder.event(before + told.event);
            self.told.take(numbers, told, || place(told.line))?;
        }
        worked.end
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
