//! The sweep file: a base configuration and the grids over it.

mod draw;
mod range;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::{Table, Value};

use self::draw::choice;
use self::range::Range;
use super::point::Point;
use crate::config::{Layer, Settings, explain, from_table};
use crate::data::{Manifest, SplitBy};
use crate::misuse;
use crate::reading;

/// More points than anybody waits for.
const MOST_POINTS: usize = 100_000;

const SEED_IS_LISTED: &str = "`seed` is not an axis or a set value: list seeds = [1, 2, …]";

/// A sweep as its file describes it.
#[derive(Clone, Debug)]
pub struct SweepFile {
    path: PathBuf,
    content: Content,
    /// The base configuration with `dataset` and `set` in place.
    base: Table,
    /// `--set`: laid over everything else.
    given: Layer,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// A training configuration, relative to the sweep file.
    base: Option<PathBuf>,
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
    /// Dotted key → the values it takes, or the range that they are drawn from.
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

/// One choice of values for some keys, and what it is called.
type Choice = (String, Table);

/// What a key is varied over.
enum Axis {
    List(Vec<Choice>),
    Range(Range),
}

impl SweepFile {
    /// Reads a sweep file; `sets` (`KEY=VALUE`) change the base configuration.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the file and the line, grid or key that is wrong.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = reading::text(path)
            .with_context(|| format!("cannot read the sweep file {}", path.display()))?;
        let content: Content = toml::from_str(&text).map_err(|e| explain(path, &text, &e))?;
        let Some(base) = &content.base else {
            misuse!(
                "{}: there is no base = \"CONFIGURATION\"; a space without one is for croloss tune \
                 CONFIGURATION --space {0}",
                path.display()
            );
        };
        let base = path.parent().unwrap_or(Path::new("")).join(base);
        let text = reading::text(&base).with_context(|| {
            format!("{}: cannot read base = {}", path.display(), base.display())
        })?;
        let base = text.parse().map_err(|e| explain(&base, &text, &e))?;
        Self::of(path, content, base, sets)
    }

    /// The space that `text`, the content of the file `path`, describes without a base, over the
    /// configuration `base`.
    ///
    /// # Errors
    /// Those of [`SweepFile::load`].
    pub fn space(path: &Path, text: &str, base: Table, sets: &[String]) -> Result<Self> {
        let content: Content = toml::from_str(text).map_err(|e| explain(path, text, &e))?;
        if content.base.is_some() {
            misuse!(
                "{}: base stands there, and a configuration is given besides: give this file alone",
                path.display()
            );
        }
        Self::of(path, content, base, sets)
    }

    fn of(path: &Path, content: Content, mut base: Table, sets: &[String]) -> Result<Self> {
        let context = || path.display().to_string();
        let mut set = Layer::of_table(&content.set).with_context(context)?;
        if set.clash("seed").is_some() {
            misuse!("{}: {SEED_IS_LISTED}", context());
        }
        if let Some(dataset) = &content.dataset {
            let folder = Value::String(format!("data/{dataset}"));
            if let Some(other) = set.clash("data.path") {
                misuse!(
                    "{}: `dataset = \"{dataset}\"` stands for data.path = {folder}, and {other} is set \
                     there too: leave one of them out",
                    context()
                );
            }
            set.add("data.path", &folder)?;
        }
        set.lay_over(&mut base).with_context(context)?;
        let file = Self { path: path.into(), content, base, given: Layer::of_sets(sets)? };
        file.check().with_context(context)?;
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
        let mut places: HashMap<String, usize> = HashMap::new();
        for grid in &self.content.grid {
            let context = || format!("{}: grid `{}`", self.path.display(), grid.name);
            let axes = grid.lists().with_context(context)?;
            let seeds = grid.seeds.as_ref().unwrap_or(&self.content.seeds);
            let of_axes = axes.iter().map(Vec::len);
            let count = of_axes.fold(seeds.len(), |count, axis| count.saturating_mul(axis));
            if points.len().saturating_add(count) > MOST_POINTS {
                misuse!(
                    "{}: {count} points, of at most {MOST_POINTS}: leave some values out",
                    context()
                );
            }
            for choices in product(&axes) {
                for &seed in seeds {
                    let point = self.point(grid, &choices, seed).with_context(context)?;
                    let place = *places.entry(point.id.clone()).or_insert(points.len());
                    match points.get_mut(place) {
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
        let labels: Vec<&str> = choices.iter().map(|(label, _)| label.as_str()).collect();
        let name = Point::name(&grid.name, &labels, seed);
        let mut layer = Layer::of_table(&grid.set)?;
        for (_, values) in choices {
            for (key, value) in values {
                layer.add(key, value)?;
            }
        }
        if let Some((own, set)) = self.given.keys().find_map(|set| Some((layer.clash(set)?, set))) {
            misuse!("--set {set}: the grid sets {own}");
        }
        if layer.clash("seed").or(self.given.clash("seed")).is_some() {
            misuse!("{SEED_IS_LISTED}");
        }
        let mut table = self.base.clone();
        layer.lay_over(&mut table)?;
        self.given.lay_over(&mut table)?;
        if let Some(key) = layer.missing_in(&table) {
            misuse!("{} takes away {key}, which the grid sets", self.given);
        }
        table.insert("seed".into(), Value::Integer(seed as i64));
        let settings = from_table(table, &name)?;
        let fitted = settings.fitted(Manifest::size_of).and_then(Settings::checked);
        let config = fitted.with_context(|| name.clone())?;
        let checksum = measured(&config.data.path)?.checksum;
        Point::new(&grid.name, &labels, config, &checksum)
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
        for grid in &self.content.grid {
            no_repeats("case name", grid.cases.iter().map(|case| &case.name))
                .with_context(|| format!("grid `{}`", grid.name))?;
        }
        Ok(())
    }
}

impl Grid {
    /// What is chosen from: the cases, then each axis; none of them is a range.
    fn lists(&self) -> Result<Vec<Vec<Choice>>> {
        let mut all = vec![];
        if !self.cases.is_empty() {
            let choice = |case: &Case| (case.name.clone(), case.set.clone());
            all.push(self.cases.iter().map(choice).collect());
        }
        for (key, axis) in self.named_axes()? {
            let Axis::List(choices) = axis else {
                misuse!(
                    "axis `{key}` is a range, and a sweep runs lists: croloss tune draws from ranges"
                );
            };
            all.push(choices);
        }
        Ok(all)
    }

    fn named_axes(&self) -> Result<Vec<(&str, Axis)>> {
        let axis = |(key, values)| Ok((String::as_str(key), Axis::of(key, values)?));
        self.axes.iter().map(axis).collect()
    }
}

impl Axis {
    fn of(key: &str, values: &Value) -> Result<Self> {
        match values {
            Value::Array(values) if values.is_empty() => misuse!("axis `{key}` has no values"),
            Value::Array(values) => {
                no_repeats(&format!("value of axis `{key}`"), values.iter().map(Value::to_string))?;
                Ok(Self::List(values.iter().map(|value| choice(key, value)).collect()))
            }
            Value::Table(table) => {
                let range = Range::of(table).with_context(|| format!("axis `{key}`"))?;
                Ok(Self::Range(range))
            }
            _ => misuse!("axis `{key}`: write a list of values"),
        }
    }
}

/// The dataset of a point, prepared and with a part that tests.
fn measured(folder: &Path) -> Result<Manifest> {
    let manifest = Manifest::load(folder)
        .with_context(|| format!("the dataset {} is not prepared", folder.display()))?;
    if manifest.split.by == SplitBy::None {
        misuse!(
            "a sweep compares what is measured, and the dataset {} is all training \
             (split.by = \"none\"): prepare it with another split",
            folder.display()
        );
    }
    Ok(manifest)
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
