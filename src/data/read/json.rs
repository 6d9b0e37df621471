//! JSON lines.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::blocks::{self, Block, records};
use super::columns::{Reader, Rows, at, no_column};
use super::input::SourceFile;
use super::objects::{Object, Text};

/// Reads a file of one JSON object a line; of each only the wanted keys are looked at.
pub(super) fn read(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    blocks::for_each(path, None, |block, read| {
        take(reader, path, block)?;
        reader.went_by(read);
        Ok(())
    })
}

fn take(reader: &mut Reader, path: &Path, block: &Block) -> Result<()> {
    let keys = Keys::of(reader, 0);
    let names = keys.names();
    reader.take(&block.pieces(0, None), &|line| at(path, line), |piece, worker| {
        let mut values = Vec::with_capacity(names.len());
        for (line, text) in lines(piece) {
            values.clear();
            parse(text, &names, &mut values)
                .map_err(|error| no_object(&at(path, line), text, error))?;
            if let Some(key) = keys.lacking(&values) {
                return Err(no_value(&at(path, line), key, text));
            }
            worker.rows(&[line], |_, column| keys.cell(&values, column))?;
        }
        Ok(())
    })
}

/// The lines of a piece of a file that are not blank, each with its number.
pub(super) fn lines<'t>(piece: &Block<&'t str>) -> impl Iterator<Item = (usize, &'t str)> {
    let text = piece.text;
    let trimmed = records(piece, None).map(move |(line, range)| (line, text[range].trim()));
    trimmed.filter(|(_, text)| !text.is_empty())
}

/// The keys of objects that hold columns of a log.
pub(super) struct Keys {
    /// Each once, ascending.
    names: Vec<String>,
    /// `[names]`: whether an object must have it.
    required: Vec<bool>,
    /// `[columns]`: the place of each column's in `names`.
    places: Vec<usize>,
}

impl Keys {
    /// Those of the reader's columns but for the first `skip`.
    pub fn of(reader: &Reader, skip: usize) -> Keys {
        let columns: Vec<String> = reader.columns().skip(skip).map(str::to_owned).collect();
        let mut names = columns.clone();
        names.sort_unstable();
        names.dedup();
        let required = names.iter().map(|name| !reader.is_optional(name)).collect();
        let place = |column| names.binary_search(column).unwrap_or_default();
        Keys { required, places: columns.iter().map(place).collect(), names }
    }

    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The first key that must have a value and has none among an object's `values`.
    pub fn lacking(&self, values: &[Text]) -> Option<&str> {
        let mut all = self.names.iter().zip(&self.required).zip(values);
        let lacks = all.find(|((_, required), value)| **required && value.is_none());
        lacks.map(|((name, _), _)| name.as_str())
    }

    /// The value of a column among an object's `values`, as a cell of a table.
    pub fn cell<'v>(&self, values: &'v [Text], column: usize) -> &'v str {
        values[self.places[column]].as_deref().unwrap_or_default()
    }
}

/// Appends the values of an object's keys.
fn parse(text: &str, keys: &[&str], values: &mut Vec<Text>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    Object { keys, values }.deserialize(&mut json)?;
    json.end()
}

/// What is said of a line that is something else; `wrong`: of one that is an object all the same.
pub(super) fn no_object(place: &str, text: &str, wrong: impl Display) -> anyhow::Error {
    // The line is told by `place`: that of the text alone is always the first.
    let said = |wrong: &dyn Display| wrong.to_string().replace(" at line 1 column ", " at column ");
    match serde_json::from_str::<Map<String, Value>>(text) {
        Err(error) => anyhow!("{place}: this line is no JSON object: {}", said(&error)),
        Ok(_) => anyhow!("{place}: {}", said(&wrong)),
    }
}

/// What is said of an object in which `key` is missing or null.
pub(super) fn no_value(place: &str, key: &str, text: &str) -> anyhow::Error {
    let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    match object.get(key) {
        Some(_) => anyhow!("{place}: `{key}` has no value"),
        None => no_column(place, key, &object.keys().cloned().collect::<Vec<_>>()),
    }
}
