//! Files of records of items or users: a row or an object each, with an id and fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::blocks::Block;
use super::columns::{Rows, TakeRows, at};
use super::input::SourceFile;
use super::{Format, delimited};
use crate::data::features::Schema;
use crate::data::field_rule::RecordSource;
use crate::data::field_value::FieldValue;
use crate::data::records::{Added, AskedField, Records, RecordsBuilder};
use crate::misuse;

mod json;
mod parquet;

/// What is read of a file of records.
pub(in crate::data) struct Asked<'a> {
    /// The column or key of the ids.
    pub id: &'a str,
    pub fields: Vec<AskedField<'a>>,
}

/// A record of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub id: String,
    /// Where it stands, for errors.
    pub place: String,
    /// Those fields that the file has.
    pub values: BTreeMap<String, FieldValue>,
}

/// Reads what a file tells of a schema's fields, for [`Schema::codes`]: CSV or TSV with a header,
/// Parquet, or JSON lines, told by its name, gzipped or not. `id` is the column or key of the ids.
/// Columns of other names are passed over.
///
/// # Errors
/// A file that is missing or damaged, a name that tells no format; a table without a field's column;
/// with file and line: an id that is empty or missing, a value that is a list in a list or an object.
pub fn read_records(path: &Path, schema: &Schema, id: &str) -> Result<Vec<Record>> {
    let field = |field: &'_ crate::data::Field| (field.name.clone(), field.kind);
    let fields: Vec<_> = schema.fields.iter().map(field).collect();
    let fields = fields.iter().map(|(name, kind)| AskedField { name, kind: *kind, column: name });
    let asked = Asked { id, fields: fields.collect() };
    asked.check()?;
    let mut records = vec![];
    read(path, &asked, &mut |row| {
        let (id, place) = (row.id.to_owned(), row.place());
        let told = asked.fields.iter().zip(row.values);
        let values = told.map(|(field, value)| (field.name.to_owned(), value)).collect();
        records.push(Record { id, place, values });
        Ok(())
    })?;
    Ok(records)
}

impl RecordSource {
    /// Reads all files. `asked` are its fields and where its ids stand.
    ///
    /// # Errors
    /// Whatever is wrong with a file, in one sentence that names the file, where there is one the
    /// line, and the field: a file or column that is missing, a key that no line has, an empty id,
    /// an id that stands there twice with other values, a list where one value is meant, a number
    /// that is none.
    pub(in crate::data) fn read(&self, asked: &Asked) -> Result<(Records, Vec<SourceFile>)> {
        asked.check()?;
        let mut builder = RecordsBuilder::new(&asked.fields);
        let mut files = vec![];
        // As in [`Records`].
        let mut places: Vec<(usize, usize)> = vec![];
        for (number, path) in self.files.iter().enumerate() {
            let mut take = |row: Row| {
                let added = builder.add(row.id, &row.values).with_context(|| row.place())?;
                match added {
                    Added::New => places.push((number, row.line)),
                    Added::Again => {}
                    Added::Otherwise { record, field } => {
                        let (file, line) = places[record];
                        bail!(
                            "{}: the id `{}` stands in {} too, with another `{field}`: leave one",
                            row.place(),
                            crate::error::short(row.id),
                            place(&self.files[file], line)
                        );
                    }
                }
                Ok(())
            };
            let (file, seen) = read(path, asked, &mut take)?;
            if let Some(at) = seen.iter().position(|seen| !seen) {
                misuse!(
                    "{}: no line has the key `{}` of the field `{}`",
                    path.display(),
                    asked.fields[at].column,
                    asked.fields[at].name
                );
            }
            files.push(file);
        }
        Ok((Records { places, ..builder.finish() }, files))
    }

    /// Where a record stands that these files tell, for people to read; `None`: the log tells it.
    pub(in crate::data) fn place(&self, records: &Records, record: usize) -> Option<String> {
        let (file, line) = *records.places.get(record)?;
        Some(place(&self.files[file], line))
    }
}

impl Asked<'_> {
    fn check(&self) -> Result<()> {
        for (at, field) in self.fields.iter().enumerate() {
            if field.column == self.id {
                misuse!("the field `{}` is the column of the ids (`{}`)", field.name, self.id);
            }
            if let Some(other) = self.fields[..at].iter().find(|f| f.column == field.column) {
                misuse!("the fields `{}` and `{}` are one column", other.name, field.name);
            }
        }
        Ok(())
    }

    /// The names of the ids' column and the fields'.
    fn columns(&self) -> impl Iterator<Item = &str> {
        [self.id].into_iter().chain(self.fields.iter().map(|field| field.column))
    }
}

/// A row of a file.
struct Row<'r> {
    path: &'r Path,
    line: usize,
    id: &'r str,
    /// A value for each field that is asked for.
    values: Vec<FieldValue>,
}

impl Row<'_> {
    fn place(&self) -> String {
        place(self.path, self.line)
    }
}

/// Where a row stands.
fn place(path: &Path, line: usize) -> String {
    match Format::of(path) {
        Ok(Format::Parquet) => format!("{}: row {line}", path.display()),
        _ => at(path, line),
    }
}

/// Who takes the rows of a file.
struct Taker<'a> {
    asked: &'a Asked<'a>,
    path: &'a Path,
    take: &'a mut dyn FnMut(Row) -> Result<()>,
    rows: usize,
    /// `[fields]`: whether the file has each.
    seen: Vec<bool>,
}

impl Taker<'_> {
    fn row(&mut self, line: usize, id: Option<&str>, values: Vec<FieldValue>) -> Result<()> {
        let id = id.filter(|id| !id.is_empty());
        let Some(id) = id else {
            let column = self.asked.id;
            bail!("{}: the id (column `{column}`) is empty", place(self.path, line));
        };
        self.rows += 1;
        (self.take)(Row { path: self.path, line, id, values })
    }
}

/// Gives `take` the rows of a file, one after another; says which fields the file has.
fn read(
    path: &Path,
    asked: &Asked,
    take: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<(SourceFile, Vec<bool>)> {
    let Ok(format) = Format::of(path) else {
        misuse!(
            "the name {} does not tell how it is written: records lie in files called .csv, .tsv, \
             .parquet, .jsonl, .ndjson or .json, gzipped or not",
            path.display()
        );
    };
    let nothing = || anyhow::anyhow!("{} holds no records", path.display());
    if path.metadata().is_ok_and(|data| data.is_file() && data.len() == 0) {
        return Err(nothing());
    }
    let seen = vec![format != Format::JsonLines; asked.fields.len()];
    let mut taker = Taker { asked, path, take, rows: 0, seen };
    let file = match format {
        Format::Tsv => delimited::read(&mut taker, path, b'\t', None),
        Format::JsonLines => json::read(&mut taker, path),
        Format::Parquet => parquet::read(&mut taker, path),
        Format::Csv | Format::UserItem | Format::Sequences => {
            delimited::read(&mut taker, path, b',', Some(b'"'))
        }
    }?;
    match taker.rows {
        0 => Err(nothing()),
        _ => Ok((file, taker.seen)),
    }
}

impl Rows for Taker<'_> {
    fn has_header(&self) -> bool {
        true
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.asked.columns()
    }

    fn take_rows(
        &mut self,
        _: &Path,
        pieces: &[Block<&str>],
        rows: impl Fn(&Block<&str>, TakeRows) -> Result<()> + Sync,
    ) -> Result<()> {
        pieces.iter().try_for_each(|piece| {
            rows(piece, &mut |lines, cells| {
                let width = 1 + self.asked.fields.len();
                lines.iter().zip(cells.chunks_exact(width)).try_for_each(|(line, cells)| {
                    let value = |(cell, field): (&Cow<str>, &AskedField)| {
                        FieldValue::of_cell(cell, field.kind)
                    };
                    let values = cells[1..].iter().zip(&self.asked.fields).map(value).collect();
                    self.row(*line, Some(&cells[0]), values)
                })
            })
        })
    }

    fn went_by(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests;
