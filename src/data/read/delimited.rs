//! CSV, TSV and their kin.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use memchr::{memchr_iter, memchr2, memchr2_iter};

use super::blocks::{self, Block, records, used};
use super::columns::{Rows, TakeRows, at, no_column};
use super::input::SourceFile;
use crate::misuse;

/// More columns than any table has.
const MOST_COLUMNS: usize = 1 << 16;

/// Rows that are given on at once.
const AT_ONCE: usize = 128;

/// Reads a file whose fields are separated by `separator`; within a pair of `quote` separators and
/// line ends are text.
pub(super) fn read(
    rows: &mut impl Rows,
    path: &Path,
    separator: u8,
    quote: Option<u8>,
) -> Result<SourceFile> {
    let mut table = None;
    blocks::for_each(path, quote, |block, read| {
        let quote = used(quote, &block.text);
        let Some((_, first)) = records(block, quote).next() else { return Ok(()) };
        let begins = if table.is_none() && rows.has_header() { first.end } else { 0 };
        let table = match &table {
            Some(table) => table,
            None => table.insert(Table::new(rows, path, separator, &block.text[first], quote)?),
        };
        rows.take_rows(path, &block.pieces(begins, quote), |piece, rows| {
            table.cut(path, piece, used(quote, piece.text), rows)
        })?;
        rows.went_by(read);
        Ok(())
    })
}

/// How a file's records are cut into columns.
struct Table {
    separator: u8,
    /// Fields of a record.
    width: usize,
    /// The number of each wanted column.
    wanted: Vec<usize>,
}

impl Table {
    /// That of a file that begins with the record `first`.
    fn new(
        rows: &impl Rows,
        path: &Path,
        separator: u8,
        first: &str,
        quote: Option<u8>,
    ) -> Result<Table> {
        let mut ends = vec![];
        find_ends(first, separator, quote, &mut ends);
        let width = ends.len();
        if width > MOST_COLUMNS {
            misuse!(
                "{}: the first line has over {MOST_COLUMNS} columns: is it separated by {:?}?",
                path.display(),
                char::from(separator)
            );
        }
        let names: Vec<String> = match rows.has_header() {
            true => {
                let starts = [0].into_iter().chain(ends.iter().map(|end| end + 1));
                let fields = starts.zip(&ends).map(|(start, end)| &first[start..*end]);
                fields.map(|field| bare(field, quote).unwrap_or(field.into()).into()).collect()
            }
            false => (1..=width).map(|number| number.to_string()).collect(),
        };
        let mut wanted = Vec::new();
        for name in rows.names() {
            let mut found = (0..width).filter(|at| names[*at] == name);
            match found.next() {
                Some(_) if found.next().is_some() => misuse!(
                    "{} has two columns `{name}`: give one of them another name",
                    path.display()
                ),
                Some(index) => wanted.push(index),
                None => return Err(no_column(&path.display().to_string(), name, &names)),
            }
        }
        Ok(Table { separator, width, wanted })
    }

    /// Gives `rows` the rows of a piece.
    fn cut(
        &self,
        path: &Path,
        piece: &Block<&str>,
        quote: Option<u8>,
        rows: TakeRows,
    ) -> Result<()> {
        let (mut ends, mut lines, mut cells) = (vec![], vec![], vec![]);
        for (line, range) in records(piece, quote) {
            let cut = self.cut_record(&piece.text[range], quote, &mut ends, &mut cells);
            if cut.is_ok() {
                lines.push(line);
            }
            if cut.is_err() || lines.len() == AT_ONCE {
                rows(&lines, &cells[..lines.len() * self.wanted.len()])?;
                lines.clear();
                cells.clear();
            }
            cut.map_err(|wrong| anyhow!("{}: {wrong}", at(path, line)))?;
        }
        rows(&lines, &cells)
    }

    /// Appends the cells of a record.
    fn cut_record<'t>(
        &self,
        record: &'t str,
        quote: Option<u8>,
        ends: &mut Vec<usize>,
        cells: &mut Vec<Cow<'t, str>>,
    ) -> Result<()> {
        ends.clear();
        let has_quotes = find_ends(record, self.separator, quote, ends);
        if has_quotes && quote.is_some_and(|quote| is_torn(record, self.separator, quote, ends)) {
            bail!(
                "a stray quote in a field, and a separator or a line end behind it: put the field in \
                 quotes, and each of its own quotes twice"
            );
        }
        if ends.len() != self.width {
            bail!("{} fields where {} are expected", ends.len(), self.width);
        }
        for column in &self.wanted {
            let start = column.checked_sub(1).map_or(0, |before| ends[before] + 1);
            let Some(cell) = bare(&record[start..ends[*column]], quote) else {
                bail!("not readable as a table from here on (is there a stray quote?)");
            };
            cells.push(cell);
        }
        Ok(())
    }
}

/// Appends where the fields of a record end; returns whether it has quotes.
fn find_ends(record: &str, separator: u8, quote: Option<u8>, ends: &mut Vec<usize>) -> bool {
    let bytes = record.as_bytes();
    let mut has_quotes = false;
    match quote {
        None => ends.extend(memchr_iter(separator, bytes)),
        Some(quote) => {
            let mut inside = false;
            ends.extend(memchr2_iter(separator, quote, bytes).filter(|at| {
                has_quotes |= bytes[*at] == quote;
                inside ^= bytes[*at] == quote;
                bytes[*at] == separator && !inside
            }));
        }
    }
    ends.push(bytes.len());
    has_quotes
}

/// Whether a field has a separator or a line end between quotes that are not those around it: nobody
/// can tell where it ends.
fn is_torn(record: &str, separator: u8, quote: u8, ends: &[usize]) -> bool {
    let starts = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
    let mut fields = starts.zip(ends).map(|(start, end)| &record[start..*end]);
    fields.any(|field| {
        let is_whole =
            field.as_bytes().first() == Some(&quote) && bare(field, Some(quote)).is_some();
        !is_whole && memchr2(separator, b'\n', field.as_bytes()).is_some()
    })
}

/// A field without the quotes around it, if there are any; `None` of one with stray quotes.
fn bare(field: &str, quote: Option<u8>) -> Option<Cow<'_, str>> {
    let Some(quote) = quote.map(char::from) else { return Some(field.into()) };
    let Some(rest) = field.strip_prefix(quote) else { return Some(field.into()) };
    let inner = rest.strip_suffix(quote)?;
    if !inner.contains(quote) {
        return Some(inner.into());
    }
    let pair = format!("{quote}{quote}");
    let one = inner.replace(&pair, "");
    (!one.contains(quote)).then(|| inner.replace(&pair, &quote.to_string()).into())
}
