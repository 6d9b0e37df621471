//! JSON lines.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use polars::prelude::*;

use super::blocks::{Block, Blocks, records};
use super::columns::{Columns, Reader, at, no_column};
use super::input::{Input, SourceFile};

/// Reads a file of one JSON object a line; of each only the wanted keys are looked at.
pub(super) fn read(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    let mut blocks = Blocks::new(None);
    let field = |name: &str| Field::new(name.into(), DataType::String);
    let schema: SchemaRef = Arc::new(reader.wanted().map(field).collect());
    while let Some(block) = blocks.next(&mut input)? {
        take(reader, path, &block, &schema)?;
        (reader.progress)(reader.done + input.consumed());
    }
    input.finish()
}

fn take(reader: &mut Reader, path: &Path, block: &Block, schema: &Schema) -> Result<()> {
    let frame = parse_ndjson(block.text.as_bytes(), None, schema, false)
        .map_err(|error| first_bad_line(path, block, error))?;
    let lines: Vec<_> = records(block, None)
        .filter(|(_, range)| !block.text[range.clone()].trim().is_empty())
        .collect();
    let columns: Columns = reader.columns(|name| Ok(frame.column(name)?.str()?))?;
    let wanted = [columns.user, columns.item].into_iter().chain(columns.time).chain(columns.day);
    for column in wanted.chain(columns.keep.iter().copied()) {
        if let Some(row) = column.iter().position(|value| value.is_none()) {
            let (line, range) = lines[row].clone();
            return Err(no_value(&at(path, line), column.name(), &block.text[range]));
        }
    }
    reader.take(&columns, |row| at(path, lines[row].0))
}

/// polars does not tell the line of what it cannot read.
fn first_bad_line(path: &Path, block: &Block, error: PolarsError) -> anyhow::Error {
    for (line, range) in records(block, None) {
        let text = block.text[range].trim();
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
        if let (false, Err(error)) = (text.is_empty(), object) {
            return anyhow!("{}: this line is no JSON object: {error}", at(path, line));
        }
    }
    anyhow!("{}: not readable as JSON lines from here on: {error}", at(path, block.first_line))
}

/// What is said of an object in which `key` is missing or null.
pub(super) fn no_value(place: &str, key: &str, text: &str) -> anyhow::Error {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).unwrap_or_default();
    match object.get(key) {
        Some(_) => anyhow!("{place}: `{key}` has no value"),
        None => no_column(place, key, &object.keys().cloned().collect::<Vec<_>>()),
    }
}
