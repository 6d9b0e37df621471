//! The ranks of a run's test targets, `ranks.parquet`: what every metric is computed from, and what a
//! paired comparison of two runs needs.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use polars::prelude::*;

use crate::data::Item;
use crate::files::{self, Sink};

/// What the log calls users and items.
pub struct LogIds<'a> {
    /// By index of user.
    pub users: &'a [String],
    /// Item id `i` is at `i - 1`.
    pub items: &'a [Item],
}

/// What is read of `ranks.parquet`: the ranks of all test targets, user by user.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRanks {
    /// Indices of users in the dataset.
    pub users: Vec<u32>,
    /// `[users]`: the ranks of the user's targets, from 1; ascending, or in the order of a session's
    /// positions where those are evaluated.
    pub ranks: Vec<Vec<u64>>,
}

impl TargetRanks {
    /// Writes a Parquet file, a row a target: the user and the item by number and as the log has
    /// them, and the rank. `targets`: item ids, as `ranks`.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub(super) fn save(&self, path: &Path, targets: &[Vec<u32>], ids: &LogIds) -> Result<()> {
        let repeat = |(user, ranks): (&u32, &Vec<u64>)| vec![*user; ranks.len()];
        let users: Vec<u32> = self.users.iter().zip(&self.ranks).flat_map(repeat).collect();
        let items = targets.concat();
        let user_ids: Vec<&str> =
            users.iter().map(|user| ids.users[*user as usize].as_str()).collect();
        let item_ids: Vec<&str> =
            items.iter().map(|item| ids.items[*item as usize - 1].original.as_str()).collect();
        let mut frame = df!(
            "user" => users,
            "original_user" => user_ids,
            "item" => items,
            "original_item" => item_ids,
            "rank" => self.ranks.concat(),
        )?;
        files::write_with(path, |staging| {
            let (sink, why) = Sink::create(staging)?;
            ParquetWriter::new(sink).finish(&mut frame).map(drop).map_err(|error| why.of(error))
        })
    }

    /// Reads the columns `user` and `rank` of what [`TargetRanks::save`] wrote; earlier versions
    /// wrote no others.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let columns = ["user", "rank"].map(str::to_owned).to_vec();
            let reader = ParquetReader::new(File::open(path)?);
            let frame = reader.with_columns(Some(columns)).finish()?;
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
        let users: Vec<String> = (0..8).map(|user| format!("u{user}")).collect();
        let items = ["a", "b"].map(|id| Item { original: id.into(), count: 1 });
        let ids = LogIds { users: &users, items: &items };
        ranks.save(&path, &[vec![2, 1], vec![2]], &ids).unwrap();
        assert_eq!(TargetRanks::load(&path).unwrap(), ranks);
        let all = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
        let expected = df!(
            "user" => [3u32, 3, 7],
            "original_user" => ["u3", "u3", "u7"],
            "item" => [2u32, 1, 2],
            "original_item" => ["b", "a", "b"],
            "rank" => [1u64, 9, 4],
        );
        assert_eq!(all, expected.unwrap());
        let mut earlier = all.select(["user", "rank"]).unwrap();
        ParquetWriter::new(File::create(&path).unwrap()).finish(&mut earlier).unwrap();
        assert_eq!(TargetRanks::load(&path).unwrap(), ranks);
        fs::write(&path, "x").unwrap();
        assert!(TargetRanks::load(&path).unwrap_err().to_string().contains("ranks.parquet"));
    }
}
