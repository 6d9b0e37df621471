//! The dataset on disk: `items.parquet`, `users.parquet`, `sequences.parquet`, `dataset.toml`, and what
//! is known of items and users besides.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use polars::prelude::*;

use super::cut::Cut;
use super::dataset::{Dataset, Item, Sequences};
use super::manifest::{FILE, Manifest};
use super::parquet::{Parquet, write};
use super::split::Split;
use crate::files;
use crate::folders::Claim;
use crate::formats;

mod cold;
mod features;

const ITEMS: &str = "items.parquet";
const USERS: &str = "users.parquet";
const SEQUENCES: &str = "sequences.parquet";

/// The columns of users that only a split of sequences has: items before each of its two cuts.
const BEFORE_VALIDATION: &str = "before_validation";
const BEFORE_TEST: &str = "before_test";

impl Dataset {
    /// Writes the folder `out`, whole or not at all; with `force` it takes the place of one that
    /// is there.
    ///
    /// # Errors
    /// Something stands at `out` and `force` is not given; those of [`Dataset::write`].
    pub fn save(&self, out: &Path, force: bool) -> Result<()> {
        self.write(Claim::new(out, force, &Dataset::FOLDER)?)
    }

    /// Writes the folder at a place that was claimed. Counts, checksum and versions of the manifest
    /// are made anew.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn write(&self, claim: Claim) -> Result<()> {
        claim.write(|folder| {
            let (checksum, written) = rayon::join(|| self.checksum(), || self.write_files(folder));
            written?;
            let manifest = Manifest {
                format: formats::DATASET,
                croloss: env!("CARGO_PKG_VERSION").to_owned(),
                checksum,
                counts: self.counts(),
                ..self.manifest.clone()
            };
            let text = toml::to_string(&manifest).context("cannot write the manifest as TOML")?;
            files::write_file(&folder.join(FILE), text)
        })
    }

    /// Everything but the manifest.
    fn write_files(&self, folder: &Path) -> Result<()> {
        self.write_items(&folder.join(ITEMS))?;
        self.write_users(&folder.join(USERS))?;
        self.write_sequences(&folder.join(SEQUENCES))?;
        self.write_features(folder)?;
        match &self.cold {
            Some(cold) => cold::write_targets(&folder.join(cold::FILE), cold),
            None => Ok(()),
        }
    }

    fn write_items(&self, path: &Path) -> Result<()> {
        write(path, self.items.len(), |rows| {
            let ids = rows.start as u32 + 1..rows.end as u32 + 1;
            let items = &self.items[rows.clone()];
            let mut columns = vec![
                column("item", ids.collect()),
                Column::new("original".into(), strings(items.iter().map(|item| &item.original))),
                column("count", items.iter().map(|item| item.count).collect()),
            ];
            if let Some(cold) = &self.cold {
                let is_cold = |row: usize| cold.items.binary_search(&(row as u32 + 1)).is_ok();
                columns.push(column(cold::COLUMN, rows.map(is_cold).collect::<Vec<bool>>()));
            }
            columns
        })
    }

    fn write_users(&self, path: &Path) -> Result<()> {
        write(path, self.users.len(), |rows| {
            let offsets = &self.sequences.offsets[rows.start..rows.end + 1];
            let lengths = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect();
            let split: Vec<&str> =
                self.split[rows.clone()].iter().map(|part| part.name()).collect();
            let mut columns = vec![
                column("user", (rows.start as u32..rows.end as u32).collect()),
                Column::new("original".into(), strings(self.users[rows.clone()].iter())),
                Column::new("split".into(), split),
                column("length", lengths),
            ];
            if let Some(cuts) = &self.cuts {
                let of = |count: fn(&Cut) -> usize| {
                    cuts[rows.clone()].iter().map(|cut| count(cut) as u32).collect::<Vec<_>>()
                };
                columns.push(column(BEFORE_VALIDATION, of(|cut| cut.validation)));
                columns.push(column(BEFORE_TEST, of(|cut| cut.test)));
            }
            columns
        })
    }

    fn write_sequences(&self, path: &Path) -> Result<()> {
        let offsets = &self.sequences.offsets;
        write(path, self.sequences.items.len(), |rows| {
            // The user of the piece's first row, then one step for each offset that is passed.
            let mut user = offsets.partition_point(|offset| *offset <= rows.start).max(1) - 1;
            let mut users = Vec::with_capacity(rows.len());
            for row in rows.clone() {
                while offsets[user + 1] <= row {
                    user += 1;
                }
                users.push(user as u32);
            }
            let mut columns = vec![
                column("user", users),
                column("item", self.sequences.items[rows.clone()].to_vec()),
            ];
            columns.extend(self.times.as_ref().map(|times| column("time", times[rows].to_vec())));
            columns
        })
    }

    /// Where the dataset folder `folder` has its catalogue.
    pub fn items_path(folder: &Path) -> PathBuf {
        folder.join(ITEMS)
    }

    /// The catalogue in a file of [`Dataset::items_path`], or a copy of it.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn read_items(file: &Path) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for_each(file, &["item", "original", "count"], |frame| {
            let original = frame.column("original")?.str()?;
            let rows = frame.column("item")?.u32()?.iter().zip(original.iter());
            for ((id, original), count) in rows.zip(frame.column("count")?.u64()?.iter()) {
                let (Some(id), Some(original), Some(count)) = (id, original, count) else {
                    return Ok(Some("a row has no value".to_owned()));
                };
                if id as usize != items.len() + 1 {
                    return Ok(Some(format!("item {id} stands in row {}", items.len() + 1)));
                }
                items.push(Item { original: original.into(), count });
            }
            Ok(None)
        })?;
        Ok(items)
    }

    /// Reads the folder that [`Dataset::save`] wrote. Times are checked and not kept: sequences are in
    /// their order and split, and 8 bytes an interaction are much.
    ///
    /// # Errors
    /// A folder that is no dataset, one of another version, or one whose files are not those that
    /// were written: counts, ids and checksum are all held against `dataset.toml`.
    pub fn load(folder: &Path) -> Result<Dataset> {
        let manifest = Manifest::load(folder)?;
        let items = Self::read_items(&folder.join(ITEMS))?;
        let (users, split, mut offsets) = read_users(&folder.join(USERS))?;
        let cuts = match manifest.split.is_within_users() {
            true => Some(read_cuts(&folder.join(USERS), &offsets)?),
            false => None,
        };
        let path = folder.join(SEQUENCES);
        let ids = read_sequences(&path, &offsets, items.len())?;
        if offsets.is_empty() {
            offsets.push(0);
        }
        let sequences = Sequences { items: ids, offsets };
        let [item_features, user_features] = features::read(folder, items.len(), users.len())?;
        let cold = match manifest.split.cold_one_in {
            Some(_) => {
                let (marked, targets) = (folder.join(ITEMS), folder.join(cold::FILE));
                Some(cold::read(&marked, &targets, &sequences, items.len())?)
            }
            None => None,
        };
        let dataset = Dataset {
            items,
            users,
            sequences,
            times: None,
            split,
            cuts,
            item_features,
            user_features,
            cold,
            manifest,
        };
        let (there, written) = (dataset.counts(), &dataset.manifest.counts);
        ensure!(
            there == *written,
            "the files in {} hold {there} where {FILE} says {written}: prepare it again",
            folder.display()
        );
        let timed = has_times(&path)?;
        let count = if timed { dataset.sequences.items.len() } else { 0 };
        let times =
            |take: &mut dyn FnMut(&[i64])| if timed { read_times(&path, take) } else { Ok(()) };
        let checksum = dataset.checksum_with(count, times)?;
        ensure!(
            checksum == dataset.manifest.checksum,
            "the files in {} are not those that were prepared (the checksum in {FILE} differs): \
             prepare it again",
            folder.display()
        );
        Ok(dataset)
    }

    /// The same with the times.
    ///
    /// # Errors
    /// Those of [`Dataset::load`].
    pub fn load_timed(folder: &Path) -> Result<Dataset> {
        let dataset = Self::load(folder)?;
        let (path, mut times) = (folder.join(SEQUENCES), Vec::new());
        if !has_times(&path)? {
            return Ok(dataset);
        }
        read_times(&path, &mut |some: &[i64]| times.extend_from_slice(some))?;
        Ok(Dataset { times: Some(times), ..dataset })
    }
}

fn read_users(path: &Path) -> Result<(Vec<String>, Vec<Split>, Vec<usize>)> {
    let (mut users, mut split, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
    for_each(path, &["user", "original", "split", "length"], |frame| {
        let rows = frame.column("user")?.u32()?.iter().zip(frame.column("original")?.str()?.iter());
        let lengths = frame.column("length")?.u32()?.iter();
        let rest = frame.column("split")?.str()?.iter().zip(lengths);
        for ((user, original), (part, length)) in rows.zip(rest) {
            let (Some(user), Some(original), Some(part), Some(length)) =
                (user, original, part.and_then(Split::of_name), length)
            else {
                return Ok(Some("a row has no value or an unknown split".to_owned()));
            };
            if user as usize != users.len() {
                return Ok(Some(format!("user {user} stands in row {}", users.len() + 1)));
            }
            users.push(original.to_owned());
            split.push(part);
            offsets.push(offsets[users.len() - 1] + length as usize);
        }
        Ok(None)
    })?;
    Ok((users, split, offsets))
}

/// The cuts of users whose sequences have these `offsets`.
fn read_cuts(path: &Path, offsets: &[usize]) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    for_each(path, &[BEFORE_VALIDATION, BEFORE_TEST], |frame| {
        let tests = frame.column(BEFORE_TEST)?.u32()?.iter();
        for (validation, test) in frame.column(BEFORE_VALIDATION)?.u32()?.iter().zip(tests) {
            let (Some(validation), Some(test)) = (validation, test) else {
                return Ok(Some("a row has no value".to_owned()));
            };
            let cut = Cut { validation: validation as usize, test: test as usize };
            let user = cuts.len();
            if cut.validation > cut.test || cut.test > offsets[user + 1] - offsets[user] {
                return Ok(Some(format!("the cuts of user {user} are not in its sequence")));
            }
            cuts.push(cut);
        }
        Ok(None)
    })?;
    Ok(cuts)
}

fn read_sequences(path: &Path, offsets: &[usize], item_count: usize) -> Result<Vec<u32>> {
    let (mut ids, mut user) = (Vec::new(), 0);
    for_each(path, &["user", "item"], |frame| {
        let rows = frame.column("user")?.u32()?.iter().zip(frame.column("item")?.u32()?.iter());
        for (owner, id) in rows {
            let (Some(owner), Some(id)) = (owner, id) else {
                return Ok(Some("a row has no value".to_owned()));
            };
            if id == 0 || id as usize > item_count {
                return Ok(Some(format!("item {id} is not in the catalogue of {item_count}")));
            }
            while user + 1 < offsets.len() && offsets[user + 1] <= ids.len() {
                user += 1;
            }
            if owner as usize != user || user + 1 >= offsets.len() {
                return Ok(Some(format!("row {} is user {owner}'s", ids.len() + 1)));
            }
            ids.push(id);
        }
        Ok(None)
    })?;
    // They have grown to up to twice of what they are.
    ids.shrink_to_fit();
    Ok(ids)
}

/// Whether sequences have times.
fn has_times(path: &Path) -> Result<bool> {
    Ok(Parquet::open(path)?.kind("time").is_some())
}

/// Gives `take` the times of all sequences piece by piece.
fn read_times(path: &Path, take: &mut dyn FnMut(&[i64])) -> Result<()> {
    for_each(path, &["time"], |frame| {
        let column = frame.column("time")?.i64()?;
        if column.null_count() > 0 {
            return Ok(Some("a row has no value".to_owned()));
        }
        take(&column.iter().flatten().collect::<Vec<i64>>());
        Ok(None)
    })
}

/// Gives `take` the file piece by piece; what it finds wrong, as text, ends the reading.
fn for_each(
    path: &Path,
    columns: &[&str],
    mut take: impl FnMut(&DataFrame) -> PolarsResult<Option<String>>,
) -> Result<()> {
    let wrong = |what: String| {
        anyhow!("{} is not as it was prepared ({what}): prepare it again", path.display())
    };
    Parquet::open(path)?.frames(columns, |frame| match take(&frame) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(wrong(what)),
        Err(error) => Err(wrong(error.to_string())),
    })
}

fn column<T>(name: &str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Column::from(Series::new(name.into(), values))
}

fn strings<'a, S: AsRef<str> + 'a>(names: impl Iterator<Item = &'a S>) -> Vec<&'a str> {
    names.map(S::as_ref).collect()
}

#[cfg(test)]
mod known_tests;

#[cfg(test)]
mod tests;
