//! JSON lines.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, anyhow};
use polars::prelude::{StringChunked, StringChunkedBuilder};
use rayon::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::blocks::{Block, Blocks, records};
use super::columns::{Columns, Reader, at, no_column};
use super::input::{Input, SourceFile};
use super::objects::{Object, Text};

/// Reads a file of one JSON object a line; of each only the wanted keys are looked at.
pub(super) fn read(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    let mut blocks = Blocks::new(None);
    while let Some(block) = blocks.next(&mut input)? {
        take(reader, path, &block)?;
        (reader.progress)(reader.done + input.consumed());
    }
    input.finish()
}

fn take(reader: &mut Reader, path: &Path, block: &Block) -> Result<()> {
    let mut keys: Vec<&str> = reader.wanted().collect();
    keys.sort_unstable();
    keys.dedup();
    let lines: Vec<(usize, &str)> = records(block, None)
        .map(|(line, range)| (line, block.text[range].trim()))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let parsed: Vec<_> = lines.par_iter().map(|(_, text)| parse(text, &keys)).collect();
    let builder = |key: &&str| StringChunkedBuilder::new((*key).into(), lines.len());
    let mut columns: Vec<StringChunkedBuilder> = keys.iter().map(builder).collect();
    for ((line, text), parsed) in lines.iter().zip(parsed) {
        let values = parsed.map_err(|error| no_object(&at(path, *line), text, error))?;
        for ((value, column), key) in values.iter().zip(&mut columns).zip(&keys) {
            match value.as_deref() {
                Some(value) => column.append_value(value),
                None if reader.is_optional(key) => column.append_null(),
                None => return Err(no_value(&at(path, *line), key, text)),
            }
        }
    }
    let columns: Vec<StringChunked> = columns.into_iter().map(|column| column.finish()).collect();
    let columns: Columns = reader.columns(|name| {
        let found = keys.iter().position(|key| *key == name);
        Ok(&columns[found.unwrap_or_default()])
    })?;
    reader.take(&columns, |row| at(path, lines[row].0))
}

fn parse<'t>(text: &'t str, keys: &[&str]) -> serde_json::Result<Vec<Text<'t>>> {
    let mut values = Vec::with_capacity(keys.len());
    let mut json = serde_json::Deserializer::from_str(text);
    Object { keys, values: &mut values }.deserialize(&mut json)?;
    json.end()?;
    Ok(values)
}

/// What is said of a line that is something else; `wrong`: of one that is an object all the same.
pub(super) fn no_object(place: &str, text: &str, wrong: impl Display) -> anyhow::Error {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Err(error) => anyhow!("{place}: this line is no JSON object: {error}"),
        Ok(_) => anyhow!("{place}: {wrong}"),
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
