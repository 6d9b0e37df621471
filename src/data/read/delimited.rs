//! CSV, TSV and their kin.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use polars::prelude::*;

use super::blocks::{Block, Blocks, records};
use super::columns::{Rows, at, no_column};
use super::input::{Input, SourceFile};
use crate::misuse;

/// More columns than any table has.
const MOST_COLUMNS: usize = 1 << 16;

/// Reads a file whose fields are separated by `separator`; within a pair of `quote` separators and
/// line ends are text.
pub(super) fn read(
    rows: &mut impl Rows,
    path: &Path,
    separator: u8,
    quote: Option<u8>,
) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    let mut blocks = Blocks::new(quote);
    let mut table = None;
    while let Some(block) = blocks.next(&mut input)? {
        let Some((_, first)) = records(&block, quote).next() else {
            continue;
        };
        let header = rows.has_header() && table.is_none();
        let table = match &table {
            Some(table) => table,
            None => {
                let first = &block.text[first];
                if separators(first, separator, quote).nth(MOST_COLUMNS).is_some() {
                    misuse!(
                        "{}: the first line has over {MOST_COLUMNS} columns: is it separated by {:?}?",
                        path.display(),
                        char::from(separator)
                    );
                }
                let first = split(first, separator, quote);
                table.insert(Table::new(rows, path, separator, quote, first)?)
            }
        };
        table.take(rows, path, &block, usize::from(header))?;
        rows.went_by(input.consumed());
    }
    input.finish()
}

/// How a file's records are cut into columns.
struct Table {
    names: Vec<String>,
    separator: u8,
    quote: Option<u8>,
    /// Columns are named by their number here: a header may name two alike, a schema may not.
    options: CsvReadOptions,
    numbers: Vec<String>,
}

impl Table {
    fn new(
        rows: &impl Rows,
        path: &Path,
        separator: u8,
        quote: Option<u8>,
        first: Vec<String>,
    ) -> Result<Table> {
        let numbers: Vec<String> = (1..=first.len()).map(|number| number.to_string()).collect();
        let names = if rows.has_header() { first } else { numbers.clone() };
        let mut projection = Vec::new();
        for wanted in rows.names() {
            let mut found = (0..names.len()).filter(|at| names[*at] == wanted);
            match found.next() {
                Some(_) if found.next().is_some() => misuse!(
                    "{} has two columns `{wanted}`: give one of them another name",
                    path.display()
                ),
                Some(index) => projection.push(index),
                None => return Err(no_column(&path.display().to_string(), wanted, &names)),
            }
        }
        projection.sort_unstable();
        projection.dedup();
        let field = |number: &String| Field::new(number.as_str().into(), DataType::String);
        let schema: Schema = numbers.iter().map(field).collect();
        let options = CsvReadOptions::default()
            .with_has_header(true)
            .with_schema(Some(Arc::new(schema)))
            .with_projection(Some(Arc::new(projection)))
            .map_parse_options(|options| options.with_separator(separator).with_quote_char(quote));
        Ok(Table { names, separator, quote, options, numbers })
    }

    /// Takes the rows of a block but for its first `skip` records.
    fn take(&self, rows: &mut impl Rows, path: &Path, block: &Block, skip: usize) -> Result<()> {
        let records: Vec<_> = records(block, self.quote).skip(skip).collect();
        // Begins with a header in any case, so that polars never takes a first record for the
        // magic bytes of compressed data.
        let mut text = self.numbers.join(&char::from(self.separator).to_string());
        text.reserve(block.text.len() + 1);
        for (line, range) in &records {
            let record = &block.text[range.clone()];
            let fields = separators(record, self.separator, self.quote).count() + 1;
            if fields != self.names.len() {
                let expected = self.names.len();
                bail!("{}: {fields} fields where {expected} are expected", at(path, *line));
            }
            text.push('\n');
            text.push_str(record);
        }
        let line = |row: usize| records.get(row).map_or(0, |(line, _)| *line);
        let unreadable = || format!("{}: not readable as a table from here on", at(path, line(0)));
        let frame = self
            .options
            .clone()
            .into_reader_with_file_handle(Cursor::new(text.as_bytes()))
            .finish()
            .map_err(|error| anyhow!("{}: {error}", unreadable()))?;
        if frame.height() != records.len() {
            bail!("{} (is there a stray quote?)", unreadable());
        }
        let get = |wanted: &str| {
            let index = self.names.iter().position(|name| name == wanted).unwrap_or_default();
            Ok(frame.column(&self.numbers[index])?.str()?)
        };
        rows.take_rows(&get, path, &line)
    }
}

/// Where the separators of a record lie.
fn separators(record: &str, separator: u8, quote: Option<u8>) -> impl Iterator<Item = usize> {
    let mut inside = false;
    record.bytes().enumerate().filter_map(move |(at, byte)| {
        inside ^= Some(byte) == quote;
        (byte == separator && !inside).then_some(at)
    })
}

/// The fields of a record, without their quotes.
fn split(record: &str, separator: u8, quote: Option<u8>) -> Vec<String> {
    let mut fields = Vec::new();
    let mut start = 0;
    for end in separators(record, separator, quote).chain([record.len()]) {
        let field = &record[start..end];
        let bare = quote.map(char::from).and_then(|quote| {
            let inner = field.strip_prefix(quote)?.strip_suffix(quote)?;
            Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
        });
        fields.push(bare.unwrap_or_else(|| field.to_owned()));
        start = end + 1;
    }
    fields
}
