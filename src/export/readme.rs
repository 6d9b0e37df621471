//! The README of an export, with snippets that work as they stand.

use serde_json::{Map, Value};

use super::manifest::Manifest;
use crate::data::{Field, FieldKind, Schema};

/// Markdown that tells what is in the folder and how to use it; `schema`: of the item tower's fields,
/// where it reads any.
pub(super) fn text(manifest: &Manifest, schema: Option<&Schema>) -> String {
    let values = [
        ("{dataset}", manifest.dataset.clone()),
        ("{croloss}", manifest.croloss.clone()),
        ("{commit}", manifest.commit.clone()),
        ("{items}", manifest.items.to_string()),
        ("{dim}", manifest.dim.to_string()),
        ("{history}", manifest.history.to_string()),
    ];
    let repeats = manifest.repeats.as_ref().map_or("", |_| include_str!("repeats.md"));
    let mut text = include_str!("readme.md").replace("{repeats}", repeats);
    let (file, section) = match schema {
        None => ("", String::new()),
        Some(schema) => (FEATURES, include_str!("features.md").replace("{item}", &item(schema))),
    };
    text = text.replace("{features file}", file).replace("{features}", &section);
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}

/// Its row in the table of files.
const FEATURES: &str = "| `features.json` | the fields of items and their values, from which the item tower's codes are made |\n";

/// An item that has a value in each field, as Python and JSON write it.
fn item(schema: &Schema) -> String {
    let value = |field: &Field| match field.kind {
        FieldKind::Number => field.bounds.first().copied().unwrap_or_default().into(),
        FieldKind::Category => plain(&field.values).next().unwrap_or("?").into(),
        FieldKind::Categories => plain(&field.values).take(2).collect::<Vec<_>>().into(),
    };
    let fields = schema.fields.iter().map(|field| (field.name.clone(), value(field)));
    Value::Object(fields.collect::<Map<_, _>>()).to_string()
}

/// Values that spoil no page.
fn plain(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().map(String::as_str).filter(|value| value.len() < 40 && !value.contains('`'))
}
