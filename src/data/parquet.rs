//! Parquet files in pieces, so that a file larger than memory can be written and read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use crate::files::Sink;
use crate::reading;

/// Rows of a piece: some tens of megabytes.
const ROWS: usize = 1 << 22;

/// An open Parquet file.
pub(crate) struct Parquet<R> {
    path: PathBuf,
    reader: R,
    schema: Arc<ArrowSchema>,
    metadata: FileMetadataRef,
}

impl Parquet<File> {
    pub fn open(path: &Path) -> Result<Self> {
        Parquet::new(path, reading::open(path)?)
    }
}

impl<R: MmapBytesReader> Parquet<R> {
    /// `path` is for messages only.
    pub fn new(path: &Path, mut reader: R) -> Result<Self> {
        let mut open = ParquetReader::new(&mut reader);
        let (schema, metadata) = open
            .schema()
            .and_then(|schema| Ok((schema, open.get_metadata()?.clone())))
            .map_err(|error| unreadable(path, error))?;
        Ok(Parquet { path: path.to_owned(), reader, schema, metadata })
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
        let mut start = 0;
        for group in &self.metadata.row_groups {
            let mut reader = ParquetReader::new(&mut self.reader)
                .with_columns(Some(columns.clone()))
                .with_slice(Some((start, group.num_rows())))
                .set_rechunk(true);
            reader.set_metadata(self.metadata.clone());
            take(reader.finish().map_err(|error| unreadable(&self.path, error))?)?;
            start += group.num_rows();
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: PolarsError) -> anyhow::Error {
    anyhow!("{} cannot be read as a Parquet file: {error}", path.display())
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
