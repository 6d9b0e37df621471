//! Reads a configuration file and applies `--set` to it.

use std::collections::BTreeMap;
use std::fmt;
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
    let set = Layer::of_sets(sets)?;
    set.lay_over(&mut table)?;
    let config = match from_table(table, &set.to_string()) {
        Ok(config) => config,
        // A mistake of the file itself is told with its line.
        Err(merged) => match toml::from_str::<Config>(&text) {
            Err(own) if own.span().is_some_and(|span| !span.is_empty()) || sets.is_empty() => {
                return Err(explain(path, &text, &own));
            }
            _ => return Err(merged),
        },
    };
    config.checked().with_context(|| path.display().to_string())
}

/// A configuration from a table that has no lines any more; `place` says in errors where its
/// values come from.
///
/// # Errors
/// [`crate::error::Misuse`] that names the key.
pub fn from_table(table: Table, place: &str) -> Result<Config> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let key = error.path().to_string();
        let place = match key.as_str() {
            "." => place.to_owned(),
            key => format!("{place}: {key}"),
        };
        explain(Path::new(&place), "", error.inner())
    })
}

/// A `KEY=VALUE` in its parts; a value that is not TOML is plain text.
///
/// # Errors
/// [`crate::error::Misuse`] where there is no `=`.
pub fn parse_set(set: &str) -> Result<(String, Value)> {
    let Some((key, text)) = set.split_once('=') else {
        misuse!("--set {set}: write KEY=VALUE, for example --set loss.alpha=1.2");
    };
    let parsed = format!("v = {text}").parse::<Table>().ok();
    let value = parsed.and_then(|mut parsed| parsed.remove("v"));
    Ok((key.trim().to_owned(), value.unwrap_or_else(|| Value::String(text.into()))))
}

/// The two ways to say how long is trained: a layer with one of them drops the other.
const LENGTHS: [&str; 2] = ["train.epochs", "train.steps"];

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
    /// [`crate::error::Misuse`] where the key, or a part of it, has a value already.
    pub fn add(&mut self, key: &str, value: &Value) -> Result<()> {
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
        let other = |own: &str| LENGTHS.contains(&own) && LENGTHS.contains(&key);
        let clashes =
            |own: &&String| *own == key || inside(own, key) || inside(key, own) || other(own);
        self.0.keys().find(clashes).map(String::as_str)
    }

    /// The dotted keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Puts the values into `table`. One that changes `loss.kind` starts the table `loss` anew,
    /// because another loss reads other keys; one of `train.epochs` and `train.steps` takes the place
    /// of the other, and epochs that of the steps between validations.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where a part of a key is a value already.
    pub fn lay_over(&self, table: &mut Table) -> Result<()> {
        if let Some(kind) = self.0.get("loss.kind")
            && let Some(Value::Table(loss)) = table.get_mut("loss")
            && loss.get("kind") != Some(kind)
        {
            loss.clear();
        }
        if LENGTHS.iter().any(|key| self.0.contains_key(*key))
            && let Some(Value::Table(train)) = table.get_mut("train")
        {
            if self.0.contains_key("train.epochs") && !train.contains_key("epochs") {
                train.remove("validate_every");
            }
            LENGTHS.iter().for_each(|key| _ = train.remove(&key["train.".len()..]));
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
    fn another_loss_starts_without_the_keys_of_the_old_one() {
        let text = "[data]\npath = \"d\"\n[loss]\nkind = \"cro\"\nalpha = 1.4\n";
        let config = load_text(text, &["loss.kind=bpr"]).unwrap();
        assert_eq!(config.loss.alpha, None);
        assert_eq!(load_text(text, &["loss.kind=cro"]).unwrap().loss.alpha, Some(1.4));
        assert!(load_text(text, &["loss.kind=bpr", "loss.alpha=1.0"]).is_err());
    }

    #[test]
    fn tables_are_laid_over_value_by_value() {
        let text = "[data]\npath = \"d\"\n[train]\nsteps = 7\npatience = 3\n";
        let config = load_text(text, &["train={steps=9}"]).unwrap();
        assert_eq!((config.train.steps(), config.train.patience), (9, 3));
        let later = load_text(text, &["train={steps=9}", "train.steps=8"]).unwrap();
        assert_eq!(later.train.steps(), 8);
    }

    #[test]
    fn epochs_and_steps_take_each_other_s_place() {
        let text = "[data]\npath = \"d\"\n[sampling]\nsamples = \"positions\"\nnegatives = [{ from = \"uniform\", count = 9, per = \"batch\" }]\n[train]\nepochs = 7\n";
        let lengths = |text: &str, set: &str| {
            let train = load_text(text, &[set]).unwrap().train;
            (train.epochs, train.steps)
        };
        assert_eq!(lengths(text, "train.steps=20"), (None, Some(20)));
        assert_eq!(lengths(text, "train.patience=2"), (Some(7), None));
        assert_eq!(lengths(&text.replace("epochs", "steps"), "train.epochs=2"), (Some(2), None));
        let by_steps = text.replace("epochs = 7", "steps = 90\nvalidate_every = 30");
        let every = |sets: &[&str]| load_text(&by_steps, sets).unwrap().train.validate_every;
        assert_eq!(every(&["train.steps=60"]), Some(30));
        assert_eq!(every(&["train.epochs=2"]), None);
        assert_eq!(every(&["train.epochs=2", "train.validate_every=5"]), Some(5));
        let both = load_text(text, &["train.epochs=2", "train.steps=20"]).unwrap_err();
        assert!(format!("{both:#}").contains("`train.epochs` and `train.steps`"), "{both:#}");
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
