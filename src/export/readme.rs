//! The README of an export, with snippets that work as they stand.

use serde_json::{Map, Value};

use super::manifest::Manifest;
use crate::data::{Field, FieldKind, Schema};

/// Markdown that tells what is in the folder and how to use it; `items` and `users`: the fields that
/// the item tower and the user tower read, where they read any.
pub(super) fn text(manifest: &Manifest, items: Option<&Schema>, users: Option<&Schema>) -> String {
    let values = [
        ("{dataset}", manifest.dataset.clone()),
        ("{croloss}", manifest.croloss.clone()),
        ("{commit}", manifest.commit.clone()),
        ("{items}", manifest.items.to_string()),
        ("{dim}", manifest.dim.to_string()),
        ("{history}", manifest.history.to_string()),
    ];
    let repeats = manifest.repeats.as_ref().map_or("", |_| include_str!("repeats.md"));
    let text = include_str!("readme.md").replace("{repeats}", repeats);
    let of_items = items
        .map(|schema| include_str!("features.md").replace("{item}", &record(schema)))
        .unwrap_or_default();
    let of_users = users
        .map(|schema| include_str!("user_features.md").replace("{user}", &record(schema)))
        .unwrap_or_default();
    let text = text.replace("{features file}", items.map_or("", |_| FEATURES));
    let text = text.replace("{users file}", users.map_or("", |_| USER_FEATURES));
    let text = text.replace("{features}", &of_items).replace("{users}", &of_users);
    let text = text.replace("{codes}", include_str!("codes.md"));
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}

/// Their rows in the table of files.
const FEATURES: &str = "| `features.json` | the fields of items and their values, from which the item tower's codes are made |\n";
const USER_FEATURES: &str = "| `user_features.json` | the fields of users and their values, from which the user tower's codes are made |\n";

/// What has a value in each field, as Python and JSON write it.
fn record(schema: &Schema) -> String {
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
