//! Parquet files in pieces, so that a file larger than memory can be written and read.

use std::fs::File;
use std::io::SeekFrom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use super::pages;
use crate::reading;

mod writing;

pub(super) use writing::write;

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
        let parquet = Parquet { path: path.to_owned(), reader, schema, metadata, size };
        let rows = parquet.rows();
        let mut groups = parquet.metadata.row_groups.iter().map(|group| group.num_rows());
        let sum = groups.try_fold(0usize, |sum, rows| sum.checked_add(rows));
        // What is packed in no space takes none on the disk, and all of it in memory.
        ensure!(
            sum == Some(rows) && rows as u64 <= parquet.most_rows(),
            "{} cannot be read as a Parquet file: it has not so many rows as it says ({rows})",
            path.display()
        );
        Ok(parquet)
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

    /// More rows than a file of this size has.
    fn most_rows(&self) -> u64 {
        self.size.saturating_mul(ROWS_A_BYTE).saturating_add(SPARE)
    }

    /// Gives `take` the frames of one row group after another, with the wanted columns.
    pub fn frames(
        &mut self,
        columns: &[&str],
        mut take: impl FnMut(DataFrame) -> Result<()>,
    ) -> Result<()> {
        let columns: Vec<String> = columns.iter().map(|name| name.to_string()).collect();
        let most = self.size.saturating_mul(TEXT_A_BYTE).saturating_add(SPARE);
        let values = i64::try_from(self.most_rows()).unwrap_or(i64::MAX);
        let (mut start, mut text) = (0, 0);
        for group in &self.metadata.row_groups {
            let frame = whole(&self.path, || {
                let wanted = columns.iter().filter_map(|name| group.columns_under_root_iter(name));
                for column in wanted.flatten() {
                    let values = values.min(column.num_values());
                    let place = column.byte_range();
                    if !pages::are_sound(&mut self.reader, place, self.size, values)? {
                        return Err(PolarsError::ComputeError("a page of it is damaged".into()));
                    }
                }
                self.reader.rewind()?;
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

/// Bytes of all texts of a frame, those in lists among them.
fn text_of(frame: &DataFrame) -> u64 {
    let bytes = |texts: &StringChunked| -> u64 {
        texts.iter().flatten().map(|text| text.len() as u64).sum()
    };
    let of = |column: &Column| match (column.str(), column.list()) {
        (Ok(texts), _) => bytes(texts),
        (_, Ok(lists)) => lists.get_inner().str().map_or(0, bytes),
        _ => 0,
    };
    frame.columns().iter().map(of).sum()
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A file of these two columns, and one of lists of the texts.
    fn file(numbers: &[u32], texts: &[&str]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.parquet");
        write(&path, numbers.len(), |rows| {
            let (numbers, texts) = (&numbers[rows.clone()], &texts[rows]);
            let list = |text: &&str| Series::new("".into(), vec![*text; text.len().min(3)]);
            let lists: Vec<Series> = texts.iter().map(list).collect();
            let lists = match lists.is_empty() {
                true => {
                    Column::full_null("list".into(), 0, &DataType::List(DataType::String.into()))
                }
                false => Column::new("list".into(), lists),
            };
            vec![Column::new("number".into(), numbers), Column::new("text".into(), texts), lists]
        })
        .unwrap();
        std::fs::read(&path).unwrap()
    }

    /// The rows of a file, all of which are read.
    fn read(bytes: &[u8]) -> Result<usize> {
        let mut parquet = Parquet::new(Path::new("f"), Cursor::new(bytes.to_vec()))?;
        let mut rows = 0;
        parquet.frames(&["number", "text", "list"], |frame| {
            rows += frame.height();
            Ok(())
        })?;
        Ok(rows)
    }

    /// Wrong widths of packed numbers, for one, make polars panic, wrong counts end the process.
    #[test]
    fn a_file_with_any_byte_changed_is_read_or_refused() {
        let numbers: Vec<u32> = (0..300).map(|row| row / 40).collect();
        let texts: Vec<&str> = (0..300).map(|row| ["a", "bb", "ccc"][row % 3]).collect();
        let whole = file(&numbers, &texts);
        assert_eq!(read(&whole).unwrap(), 300);
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x10, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                refused += usize::from(read(&bytes).is_err());
            }
        }
        assert!(refused > whole.len(), "{refused} of {}", 4 * whole.len());
    }

    #[test]
    fn what_is_packed_in_no_space_is_refused() {
        let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        let rows = 3 << 20;
        let said = refused(&file(&vec![7; rows], &vec![""; rows]));
        assert!(said.contains("not so many rows") && said.contains("3145728"), "{said}");
        let long = "x".repeat(1 << 16);
        let said = refused(&file(&[7; 1000], &[long.as_str(); 1000]));
        assert!(said.contains("its texts are over"), "{said}");
    }
}
