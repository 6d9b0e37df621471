//! Parquet logs.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use super::input::{Input, nothing_in};
use super::rows::no_column;
use super::{Reader, SourceFile};
use crate::data::parquet::Parquet;

/// Reads a file row group by row group.
pub(super) fn read(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    if !input.is_gzipped() {
        let file = input.finish()?;
        take(reader, path, file.size, Parquet::open(path)?)?;
        return Ok(file);
    }
    // Parquet is read from its end and in leaps: what is packed is unpacked to memory first.
    let mut unpacked = Vec::new();
    if input.read_into(&mut unpacked, usize::MAX)? == 0 {
        return Err(nothing_in(path));
    }
    let file = input.finish()?;
    take(reader, path, file.size, Parquet::new(path, Cursor::new(unpacked))?)?;
    Ok(file)
}

fn take<R: MmapBytesReader>(
    reader: &mut Reader,
    path: &Path,
    size: u64,
    mut parquet: Parquet<R>,
) -> Result<()> {
    let known = &parquet.columns;
    let mut names: Vec<String> = Vec::new();
    for wanted in reader.wanted() {
        if !known.iter().any(|name| name == wanted) {
            return Err(no_column(&path.display().to_string(), wanted, known));
        }
        if !names.iter().any(|name| name == wanted) {
            names.push(wanted.to_owned());
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (rows, mut done) = (parquet.rows(), 0);
    parquet.frames(&names, |frame| {
        let texts: Vec<Column> =
            frame.columns().iter().map(|column| as_text(path, column)).collect::<Result<_>>()?;
        let text = |name: &str| texts.iter().find(|column| column.name() == name);
        let columns = reader
            .columns(|name| Ok(text(name).context("a column that was not asked for")?.str()?))?;
        reader.take(&columns, |row| format!("{}: row {}", path.display(), done + row + 1))?;
        done += frame.height();
        (reader.progress)(reader.done + (size as f64 * done as f64 / rows as f64) as u64);
        Ok(())
    })
}

/// Ids and times are handled as text, as in all other formats.
fn as_text(path: &Path, column: &Column) -> Result<Column> {
    let kind = column.dtype();
    if !(kind.is_primitive_numeric() || kind.is_string()) {
        bail!(
            "{}: the column `{}` holds {kind}; ids and times are read from text and numbers: \
             write it anew as one of these",
            path.display(),
            column.name()
        );
    }
    Ok(column.cast(&DataType::String)?)
}
