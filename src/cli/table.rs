//! Text and tables for the user.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Row, Table, presets};
use serde::Serialize;

/// How much is told on standard error.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Told {
    /// Errors and warnings.
    Least,
    /// How far the work has come, too.
    Usual,
    /// And by what it is done, and what it took.
    Most,
}

static TOLD: AtomicU8 = AtomicU8::new(Told::Usual as u8);

/// From now on so much is told.
pub fn tell(told: Told) {
    TOLD.store(told as u8, Ordering::Relaxed);
}

fn told(least: Told) -> bool {
    TOLD.load(Ordering::Relaxed) >= least as u8
}

/// Whether somebody looks who wants to see bars.
pub fn draws() -> bool {
    told(Told::Usual) && stderr().is_terminal()
}

/// Prints a line.
///
/// # Errors
/// An output that cannot be written; one that nobody reads any more is none.
pub fn say(line: impl Display) -> Result<()> {
    is_heard(line).map(drop)
}

/// Prints a line, and says whether somebody reads it.
///
/// # Errors
/// Those of [`say`].
pub fn is_heard(line: impl Display) -> Result<bool> {
    match writeln!(stdout(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// Prints a value as JSON, all digits.
///
/// # Errors
/// Those of [`say`].
pub fn say_json(value: &impl Serialize) -> Result<()> {
    say(serde_json::to_string_pretty(value)?)
}

/// Prints on standard error what must not be missed. Nobody may be reading there any more, and a job
/// of hours must not end for that.
pub fn warn(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Prints a line on standard error, unless little is to be told.
pub fn note(line: impl Display) {
    if told(Told::Usual) {
        warn(line);
    }
}

/// Prints a line on standard error where much is to be told.
pub fn detail(line: impl Display) {
    if told(Told::Most) {
        warn(line);
    }
}

/// Prints rows of equally many cells, in columns: the first to the left, the others to the right.
///
/// # Errors
/// Those of [`say`].
pub fn print<R: Into<Row>>(rows: impl IntoIterator<Item = R>) -> Result<()> {
    say(table(rows))
}

fn table<R: Into<Row>>(rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).add_rows(rows);
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A number with its thousands apart: 1,708,530.
pub fn count(number: impl Into<u64>) -> String {
    indicatif::HumanCount(number.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["users".to_owned(), count(40_226u64)], ["x".to_owned(), count(7u32)]];
        assert_eq!(table(rows), "users  40,226\nx           7");
    }
}
