//! Parquet logs.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use super::columns::{Reader, Rows, no_column};
use super::input::{Input, SourceFile, nothing_in};
use crate::data::archive::on_disk;
use crate::data::parquet::Parquet;
use crate::misuse;

/// Bytes that a byte of a packed Parquet file, which is packed in itself, may stand for.
const UNPACKED: usize = 32;

/// Rows that one thread works on at once.
const PIECE: usize = if cfg!(test) { 2 } else { 1 << 14 };

/// Reads a file row group by row group.
pub(super) fn read(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    open(path, &mut Log { reader, path })
}

/// Who reads an open file, which takes `size` bytes on disk.
pub(super) trait Read {
    fn read<R: MmapBytesReader>(&mut self, parquet: Parquet<R>, size: u64) -> Result<()>;
}

/// Has a file read, packed or not.
pub(super) fn open(path: &Path, read: &mut impl Read) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    if !input.is_packed() {
        let file = input.finish()?;
        read.read(Parquet::open(path)?, file.size)?;
        return Ok(file);
    }
    // Parquet is read from its end and in leaps: what is packed is unpacked to memory first.
    let mut unpacked = Vec::new();
    let most =
        UNPACKED.saturating_mul(on_disk(path).metadata()?.len() as usize).saturating_add(1 << 20);
    match input.read_into(&mut unpacked, most)? {
        0 => return Err(nothing_in(path)),
        read if read == most => misuse!(
            "{} unpacks to over {most} bytes, which are to be held in memory: unpack it first",
            path.display()
        ),
        _ => {}
    }
    let file = input.finish()?;
    read.read(Parquet::new(path, Cursor::new(unpacked))?, file.size)?;
    Ok(file)
}

struct Log<'l, 'r> {
    reader: &'l mut Reader<'r>,
    path: &'l Path,
}

impl Read for Log<'_, '_> {
    fn read<R: MmapBytesReader>(&mut self, parquet: Parquet<R>, size: u64) -> Result<()> {
        take(self.reader, self.path, size, parquet)
    }
}

fn take<R: MmapBytesReader>(
    reader: &mut Reader,
    path: &Path,
    size: u64,
    mut parquet: Parquet<R>,
) -> Result<()> {
    let columns: Vec<String> = reader.columns().map(str::to_owned).collect();
    let mut names: Vec<&str> = Vec::new();
    for wanted in &columns {
        let Some(kind) = parquet.kind(wanted) else {
            let place = path.display().to_string();
            return Err(no_column(&place, wanted, &parquet.columns()));
        };
        let is_id = wanted == reader.wanted.user || wanted == reader.wanted.item;
        if !(is_text(kind) || is_whole(kind) || (is_float(kind) && !is_id)) {
            let what = if is_id { "text or whole numbers" } else { "text or numbers" };
            bail!(
                "{}: the column `{wanted}` is of the type {kind:?}, not {what} of 32 or 64 bits: \
                 write it anew as that",
                path.display()
            );
        }
        if !names.contains(&wanted.as_str()) {
            names.push(wanted);
        }
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let (rows, mut done) = (parquet.rows(), 0);
    parquet.frames(&names, |frame| {
        // Ids and times are handled as text, as in all other formats.
        let as_text = |column: &Column| Ok(column.cast(&DataType::String)?);
        let texts: Vec<Column> = frame.columns().iter().map(as_text).collect::<Result<_>>()?;
        let text = |name: &&str| {
            let found = texts.iter().find(|column| column.name() == *name);
            Ok(found.context("a column that was not asked for")?.str()?)
        };
        let texts: Vec<&StringChunked> = columns.iter().map(text).collect::<Result<_>>()?;
        let pieces: Vec<usize> = (0..frame.height()).step_by(PIECE).collect();
        let place = |row| format!("{}: row {row}", path.display());
        reader.take(&pieces, &place, |start, worker| {
            let end = frame.height().min(start + PIECE);
            let lines: Vec<usize> = (done + start + 1..done + end + 1).collect();
            worker.rows(&lines, |row, column| texts[column].get(start + row).unwrap_or_default())
        })?;
        done += frame.height();
        reader.went_by((size as f64 * done as f64 / rows as f64) as u64);
        Ok(())
    })
}

// polars, as it is built here, cannot read all that Parquet can hold: what it is given is checked.

pub(super) fn is_text(kind: &ArrowDataType) -> bool {
    matches!(kind, ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View)
}

pub(super) fn is_whole(kind: &ArrowDataType) -> bool {
    use ArrowDataType::{Int32, Int64, UInt32, UInt64};
    matches!(kind, Int32 | Int64 | UInt32 | UInt64)
}

pub(super) fn is_float(kind: &ArrowDataType) -> bool {
    matches!(kind, ArrowDataType::Float32 | ArrowDataType::Float64)
}
