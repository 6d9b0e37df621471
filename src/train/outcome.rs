//! What a run came to: `result.json` and `ranks.parquet`.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use polars::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Metric;
use crate::files;

/// The content of `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps trained.
    pub steps: u64,
    /// The step whose weights were best in validation, and were tested.
    pub best_step: u64,
    /// Wall-clock seconds of training steps alone.
    pub train_seconds: f64,
    /// Wall-clock seconds of everything, validation and test included.
    pub seconds: f64,
    /// The most memory that the process held, in MiB; 0 where the system does not tell.
    pub peak_memory_mib: u64,
    pub device: String,
    pub threads: i32,
    pub seed: u64,
    /// The program's version and commit.
    pub version: String,
    pub commit: String,
    pub test_users: usize,
    /// Metrics at `best_step`.
    #[serde(with = "by_name")]
    pub validation: Vec<(Metric, f64)>,
    #[serde(with = "by_name")]
    pub test: Vec<(Metric, f64)>,
}

/// Metrics as a map from `recall@50` and the like, in their order.
pub mod by_name {
    use super::*;
    use std::collections::BTreeMap;

    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(metrics: &[(Metric, f64)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(metrics.iter().map(|(metric, value)| (metric.to_string(), value)))
    }

    /// # Errors
    /// A name that is no metric.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Metric, f64)>, D::Error> {
        Ok(BTreeMap::<Metric, f64>::deserialize(from)?.into_iter().collect())
    }
}

/// The ranks of all test targets, user by user: what every metric is computed from, and what a
/// paired comparison of two runs needs.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRanks {
    /// Indices of users in the dataset.
    pub users: Vec<u32>,
    /// `[users]`: the ranks of the user's targets, from 1; ascending, or in the order of a session's
    /// positions where those are evaluated.
    pub ranks: Vec<Vec<u64>>,
}

impl UserRanks {
    /// Writes a Parquet file with the columns `user` and `rank`, a row a target.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let repeat = |(user, ranks): (&u32, &Vec<u64>)| vec![*user; ranks.len()];
        let users: Vec<u32> = self.users.iter().zip(&self.ranks).flat_map(repeat).collect();
        let mut frame = df!("user" => users, "rank" => self.ranks.concat())?;
        files::write_with(path, |staging| {
            ParquetWriter::new(File::create(staging)?).finish(&mut frame)?;
            Ok(())
        })
    }

    /// Reads what [`UserRanks::save`] wrote.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn load(path: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let frame = ParquetReader::new(File::open(path)?).finish()?;
            let mut all = Self { users: vec![], ranks: vec![] };
            for (user, rank) in
                frame.column("user")?.u32()?.iter().zip(frame.column("rank")?.u64()?.iter())
            {
                let (Some(user), Some(rank)) = (user, rank) else {
                    anyhow::bail!("a value is missing")
                };
                if all.users.last() != Some(&user) {
                    ensure!(
                        all.users.last().is_none_or(|last| *last < user),
                        "users are not in order"
                    );
                    all.users.push(user);
                    all.ranks.push(vec![]);
                }
                all.ranks.last_mut().context("no user")?.push(rank);
            }
            Ok(all)
        };
        read().with_context(|| format!("cannot use {}", path.display()))
    }
}

/// The most memory that this process has held, in MiB.
pub fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ranks.parquet");
        let ranks = UserRanks { users: vec![3, 7], ranks: vec![vec![1, 9], vec![4]] };
        ranks.save(&path).unwrap();
        assert_eq!(UserRanks::load(&path).unwrap(), ranks);
        fs::write(&path, "x").unwrap();
        assert!(UserRanks::load(&path).unwrap_err().to_string().contains("ranks.parquet"));
    }

    #[test]
    fn peak_memory_is_told_on_linux() {
        assert!(cfg!(not(target_os = "linux")) || peak_memory_mib() > 1);
    }
}
