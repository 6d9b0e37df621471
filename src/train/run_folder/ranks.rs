//! The ranks of a run's test targets, `ranks.parquet`: what every metric is computed from, and what a
//! paired comparison of two runs needs.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use polars::prelude::*;

use crate::files;

/// The content of `ranks.parquet`: the ranks of all test targets, user by user.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRanks {
    /// Indices of users in the dataset.
    pub users: Vec<u32>,
    /// `[users]`: the ranks of the user's targets, from 1; ascending, or in the order of a session's
    /// positions where those are evaluated.
    pub ranks: Vec<Vec<u64>>,
}

impl TargetRanks {
    /// Writes a Parquet file with the columns `user` and `rank`, a row a target.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let repeat = |(user, ranks): (&u32, &Vec<u64>)| vec![*user; ranks.len()];
        let users: Vec<u32> = self.users.iter().zip(&self.ranks).flat_map(repeat).collect();
        let mut frame = df!("user" => users, "rank" => self.ranks.concat())?;
        files::write_with(path, |staging| {
            ParquetWriter::new(File::create(staging)?).finish(&mut frame)?;
            Ok(())
        })
    }

    /// Reads what [`TargetRanks::save`] wrote.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub(super) fn load(path: &Path) -> Result<Self> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn ranks_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ranks.parquet");
        let ranks = TargetRanks { users: vec![3, 7], ranks: vec![vec![1, 9], vec![4]] };
        ranks.save(&path).unwrap();
        assert_eq!(TargetRanks::load(&path).unwrap(), ranks);
        fs::write(&path, "x").unwrap();
        assert!(TargetRanks::load(&path).unwrap_err().to_string().contains("ranks.parquet"));
    }
}
