//! What is known of items and users: `features.toml` with the fields and their values,
//! `item_features.parquet` and `user_features.parquet` with the codes.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::{column, for_each};
use crate::data::dataset::Dataset;
use crate::data::features::{Features, Schema};
use crate::data::field_kind::FieldKind;
use crate::data::parquet::write;
use crate::{files, misuse, reading};

pub const FILE: &str = "features.toml";
const ITEMS: &str = "item_features.parquet";
const USERS: &str = "user_features.parquet";

/// `features.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Schemas<S> {
    items: Option<S>,
    users: Option<S>,
}

impl Dataset {
    /// Writes what is known, if anything is.
    pub(super) fn write_features(&self, folder: &Path) -> Result<()> {
        let (items, users) = (&self.item_features, &self.user_features);
        if items.is_none() && users.is_none() {
            return Ok(());
        }
        let schema = |of: &'_ Option<Features>| of.as_ref().map(|of| of.schema.clone());
        let schemas = Schemas { items: schema(items), users: schema(users) };
        let text = toml::to_string(&schemas).context("cannot write the fields as TOML")?;
        if text.len() as u64 > reading::LONGEST {
            misuse!(
                "the values of all fields take over {} MiB: raise min_count, or leave out a field \
                 that nearly each has a value of its own of",
                reading::LONGEST >> 20
            );
        }
        files::write_file(&folder.join(FILE), text)?;
        for (name, number, features, first) in
            [(ITEMS, "item", items, 1), (USERS, "user", users, 0)]
        {
            if let Some(features) = features {
                write_codes(&folder.join(name), number, first, features)?;
            }
        }
        Ok(())
    }
}

/// What is known of the items and users of a folder.
pub fn read(folder: &Path, items: usize, users: usize) -> Result<[Option<Features>; 2]> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok([None, None]);
    }
    let wrong = |what: &str| anyhow!("{}: {what}; prepare it again", path.display());
    let schemas: Schemas<Schema> =
        toml::from_str(&reading::text(&path)?).map_err(|error| wrong(error.message()))?;
    let of = |schema: Option<Schema>, name, number, first, count| {
        let Some(schema) = schema else { return Ok(None) };
        schema.check().map_err(|error| wrong(&error.to_string()))?;
        read_codes(&folder.join(name), number, first, schema, count).map(Some)
    };
    Ok([of(schemas.items, ITEMS, "item", 1, items)?, of(schemas.users, USERS, "user", 0, users)?])
}

/// A column of numbers, and one for each field: its code, or of a field of categories a list.
fn write_codes(path: &Path, number: &str, first: u32, features: &Features) -> Result<()> {
    let fields = &features.schema.fields;
    let firsts = features.schema.first_codes();
    write(path, features.len(), |rows| {
        let numbers = (rows.start as u32 + first..rows.end as u32 + first).collect();
        let mut columns = vec![column(number, numbers)];
        for (field, from) in fields.iter().zip(&firsts) {
            let own = |row: usize| {
                let codes = features.of(row);
                let place = |code: u32| codes.partition_point(|own| *own < code);
                &codes[place(*from)..place(from + field.codes())]
            };
            let name = field.name.as_str().into();
            columns.push(match field.kind {
                FieldKind::Categories => {
                    let mut lists = ListPrimitiveChunkedBuilder::<UInt32Type>::new(
                        name,
                        rows.len(),
                        rows.len(),
                        DataType::UInt32,
                    );
                    rows.clone().for_each(|row| lists.append_slice(own(row)));
                    lists.finish().into_column()
                }
                FieldKind::Category | FieldKind::Number => {
                    let codes: Vec<u32> = rows.clone().flat_map(own).copied().collect();
                    Column::new(name, codes)
                }
            });
        }
        columns
    })
}

fn read_codes(
    path: &Path,
    number: &str,
    first: u32,
    schema: Schema,
    count: usize,
) -> Result<Features> {
    let fields = schema.fields.clone();
    let names = fields.iter().map(|field| field.name.as_str());
    let names: Vec<&str> = [number].into_iter().chain(names).collect();
    let firsts = schema.first_codes();
    let mut features = Features { schema, starts: vec![0], codes: vec![] };
    let mut row = vec![];
    for_each(path, &names, |frame| {
        let numbers = frame.column(number)?.u32()?;
        let cells = fields.iter().map(|field| Cells::of(frame.column(&field.name)?, field.kind));
        let mut cells = cells.collect::<PolarsResult<Vec<_>>>()?;
        for number in numbers.iter() {
            let place = features.len();
            if number != Some(place as u32 + first) {
                return Ok(Some(format!("row {} is not that of its number", place + 1)));
            }
            row.clear();
            for (cells, (field, from)) in cells.iter_mut().zip(fields.iter().zip(&firsts)) {
                let (own, codes) = (cells.next(), *from..from + field.codes());
                // What is missing is nothing else.
                let sound = own.is_sorted_by(|one, next| from < one && one < next)
                    && own.iter().all(|code| codes.contains(code))
                    && (own.len() == 1 || (own.len() > 1 && field.kind == FieldKind::Categories));
                if !sound {
                    return Ok(Some(format!("row {} has wrong codes", place + 1)));
                }
                row.extend(own);
            }
            if let Err(error) = features.push(&row) {
                return Ok(Some(error.to_string()));
            }
        }
        Ok(None)
    })?;
    if features.len() != count {
        let what = format!("{} rows of {count}", features.len());
        return Err(anyhow!(
            "{} is not as it was prepared ({what}): prepare it again",
            path.display()
        ));
    }
    Ok(features)
}

/// The codes of a field, row by row; nothing where there is no value.
struct Cells {
    codes: Vec<u32>,
    /// Where those of each row end.
    ends: Vec<usize>,
    row: usize,
}

impl Cells {
    fn of(column: &Column, kind: FieldKind) -> PolarsResult<Cells> {
        let (mut codes, mut ends) = (vec![], vec![]);
        if kind == FieldKind::Categories {
            for list in column.list()?.amortized_iter() {
                if let Some(list) = list {
                    codes.extend(list.as_ref().u32()?.iter().flatten());
                }
                ends.push(codes.len());
            }
        } else {
            for code in column.u32()?.iter() {
                codes.extend(code);
                ends.push(codes.len());
            }
        }
        Ok(Cells { codes, ends, row: 0 })
    }

    fn next(&mut self) -> Vec<u32> {
        let start = self.row.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.row += 1;
        self.codes[start..self.ends[self.row - 1]].to_vec()
    }
}
