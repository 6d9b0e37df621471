//! Parquet files, written by all threads.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use polars::prelude::*;
use polars_parquet::write::{
    CompressedPage, CompressionOptions, DynIter, DynStreamingIterator, Encoding, FileWriter, Page,
    ParquetType, StatisticsOptions, Version, WriteOptions, ZstdLevel, array_to_columns, compress,
    fallible_streaming_iterator, get_dtype_encoding,
};
use rayon::prelude::*;

use crate::files::Sink;

/// Rows of a group, which one thread packs at once: some tens of megabytes.
const ROWS: usize = 1 << 20;

/// A column of a group of rows, packed.
type Pages = Vec<CompressedPage>;

/// Writes `rows` rows; `frame` makes the columns of a range of them.
pub(in crate::data) fn write(
    path: &Path,
    rows: usize,
    frame: impl Fn(Range<usize>) -> Vec<Column> + Sync,
) -> Result<()> {
    let (sink, why) = Sink::create(path)?;
    let write = || -> Result<()> {
        let schema = DataFrame::new_infer_height(frame(0..0))?.schema().clone();
        let level = ZstdLevel::try_new(1)?;
        let options = WriteOptions {
            statistics: StatisticsOptions::default(),
            version: Version::V1,
            compression: CompressionOptions::Zstd(Some(level)),
            data_page_size: None,
        };
        let mut writer =
            FileWriter::try_new(sink, schema.to_arrow(CompatLevel::newest()), options)?;
        let kinds = writer.parquet_schema().fields().to_vec();
        let pack = |start: &usize| -> Result<Vec<Pages>> {
            let frame = DataFrame::new_infer_height(frame(*start..rows.min(start + ROWS)))?;
            packed(frame, &kinds, options)
        };
        let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
        for some in starts.chunks(rayon::current_num_threads()) {
            let groups: Vec<_> = some.par_iter().map(pack).collect();
            for (start, group) in some.iter().zip(groups) {
                let group = group?;
                let columns = group.iter().map(|pages| {
                    let pages = pages.iter().map(PolarsResult::Ok);
                    Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(pages)))
                });
                writer
                    .write(rows.min(start + ROWS) as u64 - *start as u64, DynIter::new(columns))?;
            }
        }
        writer.end(None)?;
        Ok(())
    };
    write().map_err(|error| why.of(error))
}

/// The columns of a group of rows.
fn packed(frame: DataFrame, kinds: &[ParquetType], options: WriteOptions) -> Result<Vec<Pages>> {
    let mut columns = vec![];
    for (column, kind) in frame.columns().iter().zip(kinds) {
        let array = column.as_materialized_series().rechunk().to_arrow(0, CompatLevel::newest());
        let mut encodings = get_dtype_encoding(array.dtype());
        if column.dtype().is_integer() {
            // To find a dictionary takes longer than all else that is done here, and numbers are
            // packed well enough without.
            encodings = vec![Encoding::Plain];
        }
        for pages in array_to_columns(array, kind.clone(), options, &encodings)? {
            let pack = |page: PolarsResult<Page>| Ok(compress(page?, vec![], options.compression)?);
            columns.push(pages.map(pack).collect::<Result<Pages>>()?);
        }
    }
    Ok(columns)
}
