//! Records in Parquet.

use std::path::Path;

use anyhow::{Result, bail};
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;

use super::super::columns::no_column;
use super::super::input::SourceFile;
use super::super::parquet::{Read, is_float, is_text, is_whole, open};
use super::Taker;
use crate::data::field_kind::FieldKind;
use crate::data::field_value::FieldValue;
use crate::data::parquet::Parquet;

/// Reads a file row group by row group.
pub(super) fn read(taker: &mut Taker, path: &Path) -> Result<SourceFile> {
    open(path, taker)
}

impl Read for Taker<'_> {
    fn read<R: MmapBytesReader>(&mut self, mut parquet: Parquet<R>, _: u64) -> Result<()> {
        let asked = self.asked;
        check(self, &parquet)?;
        let names: Vec<&str> = asked.columns().collect();
        let mut done = 0;
        parquet.frames(&names, |frame| {
            let column = |name: &str| frame.column(name);
            let ids = column(asked.id)?.cast(&DataType::String)?;
            let cells = asked.fields.iter().map(|field| Cells::of(column(field.column)?));
            let cells: Vec<Cells> = cells.collect::<Result<_>>()?;
            let mut cells: Vec<_> = cells.iter().map(Cells::values).collect::<Result<_>>()?;
            for id in ids.str()?.iter() {
                done += 1;
                let next = |column: &mut Box<dyn Iterator<Item = FieldValue>>| column.next();
                let values = cells.iter_mut().map(|cells| next(cells).unwrap_or_default());
                self.row(done, id, values.collect())?;
            }
            Ok(())
        })
    }
}

/// Refuses columns that are not there, or not of a type that is read.
fn check<R: MmapBytesReader>(taker: &Taker, parquet: &Parquet<R>) -> Result<()> {
    let path = taker.path.display();
    for (at, name) in taker.asked.columns().enumerate() {
        let Some(kind) = parquet.kind(name) else {
            return Err(no_column(&path.to_string(), name, &parquet.columns()));
        };
        let field = at.checked_sub(1).map(|at| &taker.asked.fields[at]);
        let value = |kind: &ArrowDataType| {
            is_text(kind) || is_whole(kind) || is_float(kind) || *kind == ArrowDataType::Boolean
        };
        match (field, inner(kind)) {
            (Some(field), Some(_)) if field.kind != FieldKind::Categories => bail!(
                "{path}: the field `{}`: the column `{name}` holds lists where {} is meant",
                field.name,
                if field.kind == FieldKind::Number { "a number" } else { "one value" }
            ),
            (Some(_), Some(inner)) if value(inner) => {}
            (Some(_), None) if value(kind) => {}
            (None, None) if is_text(kind) || is_whole(kind) => {}
            _ => {
                let what = match field {
                    Some(_) => "text or numbers of 32 or 64 bits, or lists of them",
                    None => "text or whole numbers of 32 or 64 bits",
                };
                bail!(
                    "{path}: the column `{name}` is of the type {kind:?}, not {what}: write it anew as that"
                )
            }
        }
    }
    Ok(())
}

/// What a list holds.
fn inner(kind: &ArrowDataType) -> Option<&ArrowDataType> {
    match kind {
        ArrowDataType::List(field) | ArrowDataType::LargeList(field) => Some(field.dtype()),
        _ => None,
    }
}

/// A column as text.
enum Cells {
    Ones(Column),
    /// Where the list of each row ends, and all lists one behind another.
    Many(Vec<usize>, Series),
}

impl Cells {
    fn of(column: &Column) -> Result<Cells> {
        let Ok(lists) = column.list() else { return Ok(Cells::Ones(text(column)?)) };
        let mut end = 0;
        let ends = lists.amortized_iter().map(|list| {
            end += list.map_or(0, |list| list.as_ref().len());
            end
        });
        let ends = ends.collect();
        Ok(Cells::Many(ends, text(&lists.get_inner().into_column())?.take_materialized_series()))
    }

    /// The values row by row.
    fn values(&self) -> Result<Box<dyn Iterator<Item = FieldValue> + '_>> {
        let one = |text: Option<&str>| text.map(str::to_owned);
        Ok(match self {
            Cells::Ones(column) => {
                let value = move |text| one(text).map_or(FieldValue::Missing, FieldValue::One);
                Box::new(column.str()?.iter().map(value))
            }
            Cells::Many(ends, all) => {
                let (mut texts, mut start) = (all.str()?.iter(), 0);
                Box::new(ends.iter().map(move |end| {
                    let count = end - std::mem::replace(&mut start, *end);
                    FieldValue::Many(
                        texts.by_ref().take(count).flatten().map(str::to_owned).collect(),
                    )
                }))
            }
        })
    }
}

/// Numbers as JSON lines tell them.
fn text(column: &Column) -> Result<Column> {
    let floats: StringChunked = match column.dtype() {
        DataType::Float32 => written(column.f32()?.iter()),
        DataType::Float64 => written(column.f64()?.iter()),
        _ => return Ok(column.cast(&DataType::String)?),
    };
    Ok(floats.with_name(column.name().clone()).into_column())
}

fn written(numbers: impl Iterator<Item = Option<impl std::fmt::Debug>>) -> StringChunked {
    numbers.map(|number| number.map(|number| format!("{number:?}"))).collect()
}
