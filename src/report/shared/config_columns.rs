//! A configuration as columns of a table: its keys, dotted, and their values.

use anyhow::Result;
use toml::{Table, Value};

use crate::config::Config;

/// Every key of a configuration with its value, dotted; without `device` and `threads`, which
/// say where a run is made and not what it is.
///
/// # Errors
/// Those of the TOML format.
pub fn flat(config: &Config) -> Result<Vec<(String, Value)>> {
    fn walk(prefix: &str, table: Table, to: &mut Vec<(String, Value)>) {
        for (key, value) in table {
            match value {
                Value::Table(inner) => walk(&format!("{prefix}{key}."), inner, to),
                value => to.push((format!("{prefix}{key}"), value)),
            }
        }
    }
    let mut all = vec![];
    walk("", Table::try_from(config)?, &mut all);
    all.retain(|(key, _)| key != "device" && key != "threads");
    Ok(all)
}

/// A value of a configuration as a person reads it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
