//! Parquet logs.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use super::columns::{Reader, no_column};
use super::input::{Input, SourceFile, nothing_in};
use crate::data::archive::on_disk;
use crate::data::parquet::Parquet;
use crate::misuse;

/// Bytes that a byte of a packed Parquet file, which is packed in itself, may stand for.
const UNPACKED: usize = 32;

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
    let mut names: Vec<String> = Vec::new();
    for wanted in reader.wanted() {
        let Some(kind) = parquet.kind(wanted) else {
            let place = path.display().to_string();
            return Err(no_column(&place, wanted, &parquet.columns()));
        };
        let is_id = wanted == reader.user || wanted == reader.item;
        if !(is_text(kind) || is_whole(kind) || (is_float(kind) && !is_id)) {
            let what = if is_id { "text or whole numbers" } else { "text or numbers" };
            bail!(
                "{}: the column `{wanted}` is of the type {kind:?}, not {what} of 32 or 64 bits: \
                 write it anew as that",
                path.display()
            );
        }
        if !names.iter().any(|name| name == wanted) {
            names.push(wanted.to_owned());
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (rows, mut done) = (parquet.rows(), 0);
    parquet.frames(&names, |frame| {
        // Ids and times are handled as text, as in all other formats.
        let as_text = |column: &Column| Ok(column.cast(&DataType::String)?);
        let texts: Vec<Column> = frame.columns().iter().map(as_text).collect::<Result<_>>()?;
        let text = |name: &str| texts.iter().find(|column| column.name() == name);
        let columns = reader
            .columns(|name| Ok(text(name).context("a column that was not asked for")?.str()?))?;
        reader.take(&columns, |row| format!("{}: row {}", path.display(), done + row + 1))?;
        done += frame.height();
        (reader.progress)(reader.done + (size as f64 * done as f64 / rows as f64) as u64);
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
