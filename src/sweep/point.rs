//! One point of a sweep, and which points are meant.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::config::{Config, Layer, Settings, from_table, parse_set};
use crate::files::hex;
use crate::misuse;

/// A configuration under a readable name.
#[derive(Clone, Debug)]
pub struct Point {
    /// Grid, case, axis values and seed: `table3_kernel=softplus_alpha=1.2_seed=1`.
    pub name: String,
    /// Case and axis values as the sweep file writes them, without the seed; the grid where it has
    /// neither.
    pub case: String,
    /// The first 12 hexadecimal digits of the SHA-256 of what the result depends on: the
    /// configuration without device, threads and checkpoints, and the dataset's content.
    pub id: String,
    /// The grids that ask for it.
    pub grids: Vec<String>,
    pub config: Config,
}

impl Point {
    /// `choices`: the names of its case and axis values.
    pub(super) fn new(
        grid: &str,
        choices: &[&str],
        config: Config,
        checksum: &str,
    ) -> Result<Self> {
        let mut content = config.clone();
        content.data.path = checksum.into();
        let hash = Sha256::digest(content.essence()?);
        let id = hex(&hash[..6]);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._=@-".contains(c);
        let name = Self::name(grid, choices, config.seed);
        let name = name.chars().map(|c| if plain(c) { c } else { '-' }).collect();
        let case = if choices.is_empty() { grid.to_owned() } else { choices.join(", ") };
        Ok(Self { name, case, id, grids: vec![grid.to_owned()], config })
    }

    /// What it is called, also where no file may be called so.
    pub(super) fn name(grid: &str, choices: &[&str], seed: u64) -> String {
        [&[grid], choices, &[&format!("seed={seed}")]].concat().join("_")
    }

    /// The name of its run folder.
    pub fn folder(&self) -> String {
        folder_name(&self.name, &self.id)
    }
}

/// The name of the run folder of the point of this name, of plain characters, and this id.
pub fn folder_name(name: &str, id: &str) -> String {
    // A file system allows 255 bytes, of which some are for the id and for the ends of the names of
    // the files beside it.
    format!("{}-{id}", &name[..name.len().min(200)])
}

/// `KEY=VALUE`: the points whose configuration has that value, or `grid=NAME`: those of a grid.
#[derive(Clone, Debug)]
pub struct Filter {
    key: String,
    value: Value,
    /// The value as it is written: a grid may be called `1e3`.
    text: String,
}

impl FromStr for Filter {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = parse_set(text)?;
        let text = text.split_once('=').map_or("", |(_, text)| text.trim()).into();
        Ok(Self { key, value, text })
    }
}

impl Filter {
    /// The points that all of `filters` let through.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a filter that lets no point through.
    pub fn apply(filters: &[Filter], points: Vec<Point>) -> Result<Vec<Point>> {
        let mut left = points;
        for filter in filters {
            let (mut passed, mut others) = (vec![], vec![]);
            for point in left {
                let part = if filter.passes(&point)? { &mut passed } else { &mut others };
                part.push(point);
            }
            if passed.is_empty() {
                let there = filter.there(&others)?;
                misuse!(
                    "--only {}={}: no point of the sweep has that, {there}",
                    filter.key,
                    filter.value
                );
            }
            left = passed;
        }
        Ok(left)
    }

    fn passes(&self, point: &Point) -> Result<bool> {
        if self.key == "grid" {
            let names = [Some(self.text.as_str()), self.value.as_str()];
            return Ok(point.grids.iter().any(|grid| names.contains(&Some(grid))));
        }
        let table = written(point)?;
        Ok(match (self.found(&table), &self.value) {
            (Some(Value::Float(a)), Value::Integer(b)) if *a == *b as f64 => true,
            (Some(found), wanted) if found == wanted => true,
            (_, wanted) => changes_nothing(&point.config, table, &self.key, wanted)?,
        })
    }

    /// What a configuration has at the key.
    fn found<'a>(&self, table: &'a Table) -> Option<&'a Value> {
        let mut parts = self.key.split('.');
        let first = table.get(parts.next()?)?;
        parts.try_fold(first, |at, part| at.get(part))
    }

    /// What could be asked for in its place.
    fn there(&self, points: &[Point]) -> Result<String> {
        let mut values = BTreeSet::new();
        for point in points {
            match self.key.as_str() {
                "grid" => values.extend(point.grids.clone()),
                _ => {
                    let table = written(point)?;
                    let value = self.found(&table).filter(|value| !value.is_table());
                    values.extend(value.map(Value::to_string));
                }
            }
        }
        if values.is_empty() {
            return Ok("none has a value there; keys are grid and those of a configuration".into());
        }
        Ok(format!("they have {}", values.into_iter().collect::<Vec<_>>().join(", ")))
    }
}

/// The keys of a point's configuration, without defaults that are left out.
fn written(point: &Point) -> Result<Table> {
    Table::try_from(&point.config).context("a configuration")
}

/// Whether a configuration has a value that is not among what it is written as, `table`: a default
/// that is left out, or another way to say what stands there.
fn changes_nothing(config: &Config, mut table: Table, key: &str, value: &Value) -> Result<bool> {
    let mut layer = Layer::default();
    layer.add(key, value)?;
    layer.lay_over(&mut table)?;
    let same = from_table(table, "--only").and_then(Settings::checked);
    Ok(same.is_ok_and(|same| same == *config))
}

/// `i/n`: every n-th point, from the i-th on; the n shards together are all points.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self { index, of }),
            _ => Err("write i/n with i from 1 to n, for example 2/4".into()),
        }
    }
}

impl Shard {
    /// The points of this shard.
    pub fn apply(self, points: Vec<Point>) -> Vec<Point> {
        points.into_iter().skip(self.index - 1).step_by(self.of).collect()
    }
}
