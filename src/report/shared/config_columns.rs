//! A configuration as columns of a table: its keys, dotted, and their values.

use anyhow::Result;
use toml::{Table, Value};

use crate::config::{Config, EncoderConfig};

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

/// The value of a key of `config`, whose [`flat`] is `written`; none where it reads no such key.
pub fn value_of(config: &Config, written: &[(String, Value)], key: &str) -> Option<Value> {
    let there = written.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone());
    there.or_else(|| left_out(config, key))
}

/// The value of a key that [`flat`] does not tell, where it is a default that is left out: what came
/// to the configuration later is written only where it changes something, so that what was trained
/// before keeps its id.
fn left_out(config: &Config, key: &str) -> Option<Value> {
    match key {
        "tower.repeats" | "train.cuda_graph" => Some(false.into()),
        "sampling.ahead" | "tower.id_dropout" => Some(0.0.into()),
        "tower.item_features" | "tower.user_features" => Some(Value::Array(vec![])),
        "tower.layer" => match config.tower.encoder {
            EncoderConfig::Transformer { .. } => Some("sasrec".into()),
            _ => None,
        },
        _ => None,
    }
}

/// A value of a configuration as a person reads it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Settings, from_table};

    #[test]
    fn what_is_left_out_changes_nothing() {
        for encoder in ["mean-pool", "transformer"] {
            let text = format!("data.path = \"x\"\ntower.encoder = \"{encoder}\"");
            let config = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
            let mut told = vec![];
            for key in [
                "tower.repeats",
                "train.cuda_graph",
                "sampling.ahead",
                "tower.id_dropout",
                "tower.item_features",
                "tower.user_features",
                "tower.layer",
            ] {
                assert!(flat(&config).unwrap().iter().all(|(written, _)| written != key), "{key}");
                let Some(value) = left_out(&config, key) else { continue };
                let (mut table, mut layer) = (Table::try_from(&config).unwrap(), Layer::default());
                layer.add(key, &value).unwrap();
                layer.lay_over(&mut table).unwrap();
                assert_eq!(from_table(table, "").unwrap().checked().unwrap(), config, "{key}");
                told.push(key);
            }
            assert_eq!(told.len(), if encoder == "transformer" { 7 } else { 6 });
            assert_eq!(left_out(&config, "tower.heads"), None);
        }
    }
}
