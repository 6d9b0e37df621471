//! Reads a configuration file and applies `--set` to it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Config, explain};
use crate::misuse;

/// Reads the configuration at `path` with `sets` (`KEY=VALUE`, a dotted key and a TOML value or
/// plain text) put in place of what stands there, and checks it.
///
/// # Errors
/// Names the file and line, or the `--set`, that is wrong.
pub fn load(path: &Path, sets: &[String]) -> Result<Config> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let mut table: Table = text.parse().map_err(|e| explain(path, &text, &e))?;
    for set in sets {
        let (key, value) = parse_set(set)?;
        put(&mut table, key, value).with_context(|| format!("--set {set}"))?;
    }
    let config: Config = match table.try_into() {
        Ok(config) => config,
        Err(merged) => match toml::from_str::<Config>(&text) {
            Err(own) if sets.is_empty() || own.span().is_some_and(|s| !s.is_empty()) => {
                return Err(explain(path, &text, &own));
            }
            _ => {
                return Err(explain(
                    Path::new(&format!("--set {}", sets.join(" --set "))),
                    "",
                    &merged,
                ));
            }
        },
    };
    config.checked().with_context(|| path.display().to_string())
}

/// A `KEY=VALUE` in its parts; a value that is not TOML is plain text.
///
/// # Errors
/// [`crate::error::Misuse`] where there is no `=`.
pub fn parse_set(set: &str) -> Result<(&str, Value)> {
    let Some((key, text)) = set.split_once('=') else {
        misuse!("--set {set}: write KEY=VALUE, for example --set loss.alpha=1.2");
    };
    let parsed = format!("v = {text}").parse::<Table>().ok();
    let value = parsed.and_then(|mut parsed| parsed.remove("v"));
    Ok((key.trim(), value.unwrap_or_else(|| Value::String(text.into()))))
}

/// Puts `value` in the place of a dotted key, making tables on the way.
///
/// # Errors
/// [`crate::error::Misuse`] where a part of the key is a value already.
pub fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let (tables, last) = match key.rsplit_once('.') {
        Some((tables, last)) => (tables.split('.').collect(), last),
        None => (vec![], key),
    };
    let mut at = table;
    for part in tables {
        let next = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = next else {
            misuse!("{key}: `{part}` is a value, not a table");
        };
        at = inner;
    }
    at.insert(last.into(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str, sets: &[&str]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        fs::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
        load(&path, &sets)
    }

    #[test]
    fn sets_take_toml_values_and_plain_words() {
        let config = load_text(
            "[data]\npath = \"d\"\n",
            &["loss.alpha=1.5", "loss.kernel=hinge", "evaluation.at=[5, 100]", "seed=9"],
        )
        .unwrap();
        assert_eq!(config.loss.alpha, Some(1.5));
        assert_eq!(config.evaluation.at, [5, 100]);
        assert_eq!(config.seed, 9);
    }

    #[test]
    fn an_unknown_key_is_answered_with_its_line_and_the_nearest_known_one() {
        let error = load_text("[data]\npath = \"d\"\n[loss]\nalhpa = 1.0\n", &[]).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("alhpa") && error.contains("`alpha`"), "{error}");
        assert!(error.contains("c.toml:4") || error.contains("line 4"), "{error}");
    }

    #[test]
    fn a_wrong_set_is_named() {
        for (set, word) in [("loss.alhpa=1", "alhpa"), ("alpha", "KEY=VALUE"), ("seed.x=1", "seed")]
        {
            let error = load_text("seed = 1\n[data]\npath = \"d\"\n", &[set]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("--set") && error.contains(word), "{error}");
        }
    }
}
