//! Points drawn from a sweep file that has ranges.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Axis, Choice, Grid, Point, SweepFile, measured};
use crate::config::{Config, Layer, Settings, from_table};
use crate::data::Manifest;

impl SweepFile {
    /// How many coordinates a draw takes: one for the grid and its case, one for each axis.
    pub fn dimensions(&self) -> usize {
        1 + self.content.grid.iter().map(|grid| grid.axes.len()).max().unwrap_or(0)
    }

    /// The point at a place of the space, `coordinates` being from 0 to 1, under the first seed: each
    /// case of each grid is as likely, of a list each value, of a range each part.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a configuration that cannot work.
    pub fn draw(&self, coordinates: &[f64]) -> Result<Point> {
        let alternatives: Vec<(&Grid, Option<Choice>)> = self
            .content
            .grid
            .iter()
            .flat_map(|grid| {
                let case = |case: &super::Case| Some((case.name.clone(), case.set.clone()));
                let cases: Vec<Option<Choice>> = match grid.cases.is_empty() {
                    true => vec![None],
                    false => grid.cases.iter().map(case).collect(),
                };
                cases.into_iter().map(move |case| (grid, case))
            })
            .collect();
        let pick = |place: f64, of: usize| ((place * of as f64) as usize).min(of - 1);
        let (first, rest) = coordinates.split_first().context("no coordinates")?;
        let (grid, case) = &alternatives[pick(*first, alternatives.len())];
        let mut choices: Vec<Choice> = case.iter().cloned().collect();
        for ((key, axis), place) in grid.named_axes()?.into_iter().zip(rest) {
            choices.push(match axis {
                Axis::List(all) => all[pick(*place, all.len())].clone(),
                Axis::Range(range) => choice(key, &range.at(*place)),
            });
        }
        let choices: Vec<&Choice> = choices.iter().collect();
        self.point(grid, &choices, self.content.seeds[0])
            .with_context(|| format!("{}: grid `{}`", self.path.display(), grid.name))
    }

    /// `config` under a name and each seed of the file.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a dataset that is not prepared.
    pub fn seeded(&self, name: &str, config: &Config) -> Result<Vec<Point>> {
        let checksum = measured(&config.data.path)?.checksum;
        let of_seed =
            |&seed: &u64| Point::new(name, &[], Config { seed, ..config.clone() }, &checksum);
        self.content.seeds.iter().map(of_seed).collect()
    }

    /// The configuration that all points start from, `--set` included, with other values for some keys.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the key that is wrong.
    pub fn base(&self, sets: &Layer) -> Result<Config> {
        let mut table = self.base.clone();
        self.given.lay_over(&mut table)?;
        sets.lay_over(&mut table)?;
        from_table(table, &self.path.display().to_string())?
            .fitted(Manifest::size_of)
            .and_then(Settings::checked)
    }
}

/// A value of an axis under its name.
pub(super) fn choice(key: &str, value: &Value) -> Choice {
    let short = key.rsplit('.').next().unwrap_or(key);
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (format!("{short}={text}"), Table::from_iter([(key.to_owned(), value.clone())]))
}
