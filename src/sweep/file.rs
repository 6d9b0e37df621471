//! The sweep file: a base configuration and the grids over it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::{Table, Value};

use super::point::Point;
use crate::config::{Config, explain, parse_set, put};
use crate::data::Manifest;
use crate::misuse;

/// A sweep as its file describes it.
#[derive(Clone, Debug)]
pub struct SweepFile {
    path: PathBuf,
    content: Content,
    /// The base configuration with `dataset`, `set` and `--set` in place.
    base: Table,
    /// Keys that `--set` has given a value.
    given: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// A training configuration, relative to the sweep file.
    base: PathBuf,
    /// The name of a dataset: stands for data.path = "data/NAME".
    dataset: Option<String>,
    #[serde(default = "first_seed")]
    seeds: Vec<u64>,
    /// Values for every point, by dotted key.
    #[serde(default)]
    set: Table,
    grid: Vec<Grid>,
}

/// The product of its cases, its axes and its seeds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    name: String,
    seeds: Option<Vec<u64>>,
    #[serde(default)]
    set: Table,
    /// Dotted key → the values it takes.
    #[serde(default)]
    axes: Table,
    #[serde(default)]
    cases: Vec<Case>,
}

/// Several keys that are set together, under a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    set: Table,
}

fn first_seed() -> Vec<u64> {
    vec![1]
}

/// One choice of a value for some keys, and what it is called.
type Choice = (String, Vec<(String, Value)>);

impl SweepFile {
    /// Reads a sweep file; `sets` (`KEY=VALUE`) change the base configuration.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the file and the line, grid or key that is wrong.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the sweep file {}", path.display()))?;
        let content: Content = toml::from_str(&text).map_err(|e| explain(path, &text, &e))?;
        let base_path = path.parent().unwrap_or(Path::new("")).join(&content.base);
        let text = fs::read_to_string(&base_path).with_context(|| {
            format!("{}: cannot read base = {}", path.display(), base_path.display())
        })?;
        let mut base: Table = text.parse().map_err(|e| explain(&base_path, &text, &e))?;
        if let Some(dataset) = &content.dataset {
            put(&mut base, "data.path", Value::String(format!("data/{dataset}")))?;
        }
        for (key, value) in &content.set {
            put(&mut base, key, value.clone())?;
        }
        let mut given = vec![];
        for set in sets {
            let (key, value) = parse_set(set)?;
            put(&mut base, key, value).with_context(|| format!("--set {set}"))?;
            given.push(key.to_owned());
        }
        let file = Self { path: path.into(), content, base, given };
        file.check().with_context(|| path.display().to_string())?;
        Ok(file)
    }

    /// The sweep's name: that of its file, without the extension.
    pub fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Every point once, in the order of the file; a point that several grids ask for knows all
    /// of them.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a configuration that cannot work, or a dataset that is not
    /// prepared.
    pub fn points(&self) -> Result<Vec<Point>> {
        let mut points: Vec<Point> = vec![];
        for grid in &self.content.grid {
            let context = || format!("{}: grid `{}`", self.path.display(), grid.name);
            let axes = grid.axes().with_context(context)?;
            let seeds = grid.seeds.as_ref().unwrap_or(&self.content.seeds);
            for choices in product(&axes) {
                for &seed in seeds {
                    let point = self.point(grid, &choices, seed).with_context(context)?;
                    match points.iter_mut().find(|known| known.id == point.id) {
                        Some(known) if known.grids.contains(&grid.name) => {
                            misuse!(
                                "{}: {} and {} are one configuration",
                                context(),
                                known.name,
                                point.name
                            )
                        }
                        Some(known) => known.grids.push(grid.name.clone()),
                        None => points.push(point),
                    }
                }
            }
        }
        Ok(points)
    }

    fn point(&self, grid: &Grid, choices: &[&Choice], seed: u64) -> Result<Point> {
        let mut table = self.base.clone();
        for (key, value) in &grid.set {
            put(&mut table, key, value.clone())?;
        }
        let mut name = grid.name.clone();
        for (label, values) in choices {
            name = format!("{name}_{label}");
            for (key, value) in values {
                put(&mut table, key, value.clone())?;
            }
        }
        name = format!("{name}_seed={seed}");
        put(&mut table, "seed", Value::Integer(seed as i64))?;
        let config: Config = table.try_into().map_err(|e| explain(Path::new(&name), "", &e))?;
        let config = config.checked().with_context(|| name.clone())?;
        let manifest = Manifest::load(&config.data.path).with_context(|| {
            format!("the dataset {} is not prepared", config.data.path.display())
        })?;
        Point::new(name, grid.name.clone(), config, &manifest.checksum)
    }

    fn check(&self) -> Result<()> {
        if self.content.grid.is_empty() {
            misuse!("there is no [[grid]]");
        }
        no_repeats("grid name", self.content.grid.iter().map(|grid| &grid.name))?;
        let lists = self.content.grid.iter().filter_map(|grid| grid.seeds.as_ref());
        for seeds in lists.chain([&self.content.seeds]) {
            if seeds.is_empty() {
                misuse!("seeds: the list is empty");
            }
            no_repeats("seed", seeds)?;
        }
        let seed = "`seed` is not an axis or a set value: list seeds = [1, 2, …]";
        if self.content.set.contains_key("seed") || self.given.iter().any(|key| key == "seed") {
            misuse!("{seed}");
        }
        for grid in &self.content.grid {
            no_repeats("case name", grid.cases.iter().map(|case| &case.name))
                .with_context(|| format!("grid `{}`", grid.name))?;
            for (what, keys) in grid.keys() {
                for key in keys {
                    if key == "seed" {
                        misuse!("grid `{}`: {seed}", grid.name);
                    }
                    if self.given.contains(key) {
                        misuse!("--set {key}: {what} of grid `{}` sets it too", grid.name);
                    }
                }
            }
            for key in grid.axes.keys() {
                let twice = |table: &Table| table.contains_key(key);
                if twice(&grid.set) || grid.cases.iter().any(|case| twice(&case.set)) {
                    misuse!("grid `{}`: `{key}` is an axis and is set as well", grid.name);
                }
            }
        }
        Ok(())
    }
}

impl Grid {
    /// Where keys get values, and which.
    fn keys(&self) -> impl Iterator<Item = (String, Vec<&String>)> {
        let cases = self.cases.iter();
        let cases = cases.map(|case| (format!("case `{}`", case.name), case.set.keys().collect()));
        let own = [("an axis", &self.axes), ("set", &self.set)];
        let own = own.map(|(what, table)| (what.to_owned(), table.keys().collect()));
        own.into_iter().chain(cases)
    }

    /// What is chosen from: the cases, then each axis.
    fn axes(&self) -> Result<Vec<Vec<Choice>>> {
        let mut all = vec![];
        if !self.cases.is_empty() {
            let own = |table: &Table| table.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            all.push(self.cases.iter().map(|case| (case.name.clone(), own(&case.set))).collect());
        }
        for (key, values) in &self.axes {
            let Value::Array(values) = values else {
                misuse!("axis `{key}`: write a list of values");
            };
            if values.is_empty() {
                misuse!("axis `{key}` has no values");
            }
            no_repeats(&format!("value of axis `{key}`"), values.iter().map(Value::to_string))?;
            let short = key.rsplit('.').next().unwrap_or(key);
            let choice = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (format!("{short}={text}"), vec![(key.clone(), value.clone())])
            };
            all.push(values.iter().map(choice).collect());
        }
        Ok(all)
    }
}

/// All ways to take one of each.
fn product(axes: &[Vec<Choice>]) -> Vec<Vec<&Choice>> {
    axes.iter().fold(vec![vec![]], |taken, axis| {
        let longer = |start: &Vec<_>| axis.iter().map(|c| [&start[..], &[c]].concat()).collect();
        taken.iter().flat_map(|start| -> Vec<Vec<&Choice>> { longer(start) }).collect()
    })
}

fn no_repeats<T: std::hash::Hash + Eq + std::fmt::Display>(
    what: &str,
    all: impl IntoIterator<Item = T>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for one in all {
        let text = one.to_string();
        if !seen.insert(one) {
            misuse!("{what} {text} stands there twice");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
