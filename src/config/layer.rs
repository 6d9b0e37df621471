//! Values that are laid over a configuration: `--set`, and what a sweep varies.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use toml::{Table, Value};

use super::LossKind;
use crate::error::short;
use crate::misuse;

/// A `KEY=VALUE` in its parts; a value that is not TOML is plain text.
///
/// # Errors
/// [`crate::error::Misuse`] where there is no `=`.
pub fn parse_set(set: &str) -> Result<(String, Value)> {
    let Some((key, text)) = set.split_once('=') else {
        misuse!("--set {}: write KEY=VALUE, for example --set loss.alpha=1.2", short(set));
    };
    let parsed = format!("v = {text}").parse::<Table>().ok();
    if parsed.as_ref().is_some_and(|parsed| parsed.len() > 1) {
        misuse!("--set {}: one KEY=VALUE each: give further ones a --set of their own", short(set));
    }
    let value = parsed.and_then(|mut parsed| parsed.remove("v"));
    Ok((key.trim().to_owned(), value.unwrap_or_else(|| Value::String(text.into()))))
}

/// Two ways each to say one thing: a layer with one of them drops the other.
const PAIRS: [[&str; 2]; 3] = [
    ["train.epochs", "train.steps"],
    ["sampling.negatives", "sampling.negatives_per_positive"],
    ["sampling.reject", "sampling.accidental_hits"],
];

/// More parts than any key has: a table for each of them would be a table in a table, without end.
const MOST_PARTS: usize = 8;

/// Values that are laid over a configuration, by dotted key; none of them is a table.
#[derive(Clone, Debug, Default)]
pub struct Layer(BTreeMap<String, Value>);

impl Layer {
    /// The values of a table, and of the tables in it.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where a key gets two values, as itself or as a part of another.
    pub fn of_table(table: &Table) -> Result<Self> {
        let mut layer = Self::default();
        for (key, value) in table {
            layer.add(key, value)?;
        }
        Ok(layer)
    }

    /// The values of `--set` options; a later one stands for an earlier one of the same key.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for one that is not `KEY=VALUE`.
    pub fn of_sets(sets: &[String]) -> Result<Self> {
        let mut layer = Self::default();
        for set in sets {
            let (key, value) = parse_set(set)?;
            layer.0.remove(&key);
            layer.add(&key, &value)?;
        }
        Ok(layer)
    }

    /// Adds a value; a table by its values.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where the key, or a part of it, has a value already, or there is no
    /// key of so many parts.
    pub fn add(&mut self, key: &str, value: &Value) -> Result<()> {
        if key.split('.').nth(MOST_PARTS).is_some() {
            misuse!("--set {}: no key has so many parts", short(key));
        }
        if let Value::Table(table) = value {
            return table.iter().try_for_each(|(k, v)| self.add(&format!("{key}.{k}"), v));
        }
        if let Some(other) = self.clash(key) {
            misuse!("`{other}` and `{key}` are both set");
        }
        self.0.insert(key.to_owned(), value.clone());
        Ok(())
    }

    /// The key of this layer that sets what `key` sets: itself, a part of either, or the other way
    /// to say it.
    pub fn clash(&self, key: &str) -> Option<&str> {
        let inside = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|r| r.starts_with('.'));
        let other = |own: &str| PAIRS.iter().any(|p| p.contains(&own) && p.contains(&key));
        let clashes =
            |own: &&String| *own == key || inside(own, key) || inside(key, own) || other(own);
        self.0.keys().find(clashes).map(String::as_str)
    }

    /// The dotted keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A key of this layer that `table` does not have.
    pub fn missing_in(&self, table: &Table) -> Option<&str> {
        let stands = |key: &str| {
            let (mut at, mut parts) = (Some(table), key.split('.').peekable());
            while let Some(part) = parts.next() {
                let value = at.and_then(|at| at.get(part));
                if parts.peek().is_none() {
                    return value.is_some();
                }
                at = value.and_then(Value::as_table);
            }
            false
        };
        self.keys().find(|key| !stands(key))
    }

    /// Puts the values into `table`. One that changes `loss.kind` starts the table `loss` anew,
    /// because another loss reads other keys; one of a pair that says the same thing (`train.epochs`
    /// and `train.steps`, for example) takes the place of the other, and epochs that of the steps
    /// between validations and of random batches.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where a part of a key is a value already.
    pub fn lay_over(&self, table: &mut Table) -> Result<()> {
        // By any of its names; none is that of the default.
        let kind_of = |kind: Option<&Value>| match kind {
            None => Some(LossKind::Cro),
            Some(name) => name.clone().try_into().ok(),
        };
        if let Some(kind) = self.0.get("loss.kind")
            && let Some(Value::Table(loss)) = table.get_mut("loss")
            && kind_of(loss.get("kind")) != kind_of(Some(kind))
        {
            loss.clear();
        }
        if self.0.contains_key("train.epochs")
            && let Some(Value::Table(train)) = table.get_mut("train")
            && !train.contains_key("epochs")
        {
            train.remove("validate_every");
            // The default of steps, in a configuration that was saved; epochs have another one.
            if let Some(Value::Table(sampling)) = table.get_mut("sampling")
                && sampling.get("order").and_then(Value::as_str) == Some("random")
            {
                sampling.remove("order");
            }
        }
        for pair in PAIRS.iter().filter(|pair| pair.iter().any(|key| self.0.contains_key(*key))) {
            pair.iter().for_each(|key| take(table, key));
        }
        self.0.iter().try_for_each(|(key, value)| put(table, key, value.clone()))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sets = self.0.iter().map(|(key, value)| format!("--set {key}={value}"));
        f.write_str(&sets.collect::<Vec<_>>().join(" "))
    }
}

/// Puts `value` in the place of a dotted key, making tables on the way.
fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let (tables, last) = match key.rsplit_once('.') {
        Some((tables, last)) => (tables.split('.').collect(), last),
        None => (vec![], key),
    };
    let mut at = table;
    for part in tables {
        let next = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = next else {
            misuse!("--set {key}={value}: `{part}` is a value, not a table");
        };
        at = inner;
    }
    at.insert(last.into(), value);
    Ok(())
}

/// Removes the value of a key `TABLE.KEY`.
fn take(table: &mut Table, key: &str) {
    if let Some((part, key)) = key.split_once('.')
        && let Some(Value::Table(part)) = table.get_mut(part)
    {
        part.remove(key);
    }
}
