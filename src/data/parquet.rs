//! Parquet files in pieces, so that a file larger than memory can be written and read.

use std::fs::File;
use std::io::SeekFrom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use crate::files::Sink;
use crate::reading;

/// Rows of a piece: some tens of megabytes.
const ROWS: usize = 1 << 22;

/// Rows that a byte of a file may stand for; those of real columns take some bits each.
const ROWS_A_BYTE: u64 = 64;

/// Bytes of text that a byte of a file may stand for; real ids come nowhere near.
const TEXT_A_BYTE: u64 = 256;

/// What a small file may hold beyond that.
const SPARE: u64 = 1 << 20;

/// An open Parquet file.
pub(crate) struct Parquet<R> {
    path: PathBuf,
    reader: R,
    schema: Arc<ArrowSchema>,
    metadata: FileMetadataRef,
    /// In bytes.
    size: u64,
}

impl Parquet<File> {
    pub fn open(path: &Path) -> Result<Self> {
        Parquet::new(path, reading::open(path)?)
    }
}

impl<R: MmapBytesReader> Parquet<R> {
    /// `path` is for messages only.
    pub fn new(path: &Path, mut reader: R) -> Result<Self> {
        let size = reader.seek(SeekFrom::End(0)).and_then(|size| reader.rewind().map(|()| size));
        let size = size.with_context(|| format!("cannot read {}", path.display()))?;
        let (schema, metadata) = whole(path, || {
            let mut open = ParquetReader::new(&mut reader);
            open.schema().and_then(|schema| Ok((schema, open.get_metadata()?.clone())))
        })?;
        // What is packed in no space takes none on the disk, and all of it in memory.
        let mut groups = metadata.row_groups.iter().map(|group| group.num_rows());
        let rows = groups.try_fold(0usize, |sum, rows| sum.checked_add(rows));
        ensure!(
            rows == Some(metadata.num_rows)
                && metadata.num_rows as u64
                    <= size.saturating_mul(ROWS_A_BYTE).saturating_add(SPARE),
            "{} cannot be read as a Parquet file: it has not so many rows as it says ({})",
            path.display(),
            metadata.num_rows
        );
        Ok(Parquet { path: path.to_owned(), reader, schema, metadata, size })
    }

    /// The names of all columns.
    pub fn columns(&self) -> Vec<String> {
        self.schema.iter_names().map(|name| name.to_string()).collect()
    }

    /// The type of a column, if there is such a column.
    pub fn kind(&self, column: &str) -> Option<&ArrowDataType> {
        self.schema.get(column).map(|field| &field.dtype)
    }

    pub fn rows(&self) -> usize {
        self.metadata.num_rows
    }

    /// Gives `take` the frames of one row group after another, with the wanted columns.
    pub fn frames(
        &mut self,
        columns: &[&str],
        mut take: impl FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let columns: Vec<String> = columns.iter().map(|name| name.to_string()).collect();
        let most = self.size.saturating_mul(TEXT_A_BYTE).saturating_add(SPARE);
        let (mut start, mut text) = (0, 0);
        for group in &self.metadata.row_groups {
            let frame = whole(&self.path, || {
                let mut reader = ParquetReader::new(&mut self.reader)
                    .with_columns(Some(columns.clone()))
                    .with_slice(Some((start, group.num_rows())))
                    .set_rechunk(true);
                reader.set_metadata(self.metadata.clone());
                reader.finish()
            })?;
            text += text_of(&frame);
            ensure!(
                text <= most,
                "{} cannot be read as a Parquet file: its texts are over {most} bytes long",
                self.path.display()
            );
            take(frame)?;
            start += group.num_rows();
        }
        Ok(())
    }
}

/// Bytes of all texts of a frame.
fn text_of(frame: &DataFrame) -> u64 {
    let texts = frame.columns().iter().filter_map(|column| column.str().ok());
    texts.map(|texts| texts.iter().flatten().map(|text| text.len() as u64).sum::<u64>()).sum()
}

/// What polars reads of a file. Some of what can be wrong with one it meets with a panic.
fn whole<T>(path: &Path, read: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let unreadable =
        |what: String| anyhow!("{} cannot be read as a Parquet file: {what}", path.display());
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| unreadable(error.to_string())),
        Err(_) => Err(unreadable("it is damaged".to_owned())),
    }
}

/// Writes `rows` rows; `frame` makes the columns of a range of them.
pub(super) fn write(
    path: &Path,
    rows: usize,
    frame: impl Fn(std::ops::Range<usize>) -> Vec<Column>,
) -> Result<()> {
    let (sink, why) = Sink::create(path)?;
    let write = || -> Result<()> {
        let schema = DataFrame::new_infer_height(frame(0..0))?.schema().clone();
        let writer = ParquetWriter::new(sink);
        let mut writer = writer.with_row_group_size(Some(ROWS)).batched(&schema)?;
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + ROWS);
            writer.write_batch(&DataFrame::new_infer_height(frame(start..end))?)?;
            start = end;
        }
        writer.finish()?;
        Ok(())
    };
    write().map_err(|error| why.of(error))
}
