//! The prepared data set: vocabulary, sequences and split.

use anyhow::Result;
use compact_str::CompactString;
use sha2::{Digest, Sha256};

use super::cut::Cut;
use super::features::Features;
use super::manifest::{Counts, Manifest};
use super::split::Split;
use crate::files::hex;
use crate::folders::FolderKind;

/// One row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The id in the source log; up to 24 bytes of one take no memory besides the row's own 32.
    pub original: CompactString,
    /// Interactions in the log, all parts of the split together.
    pub count: u64,
}

/// One sequence of item ids a user, oldest first, in one flat array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// All users' items one after another; ids start at 1, 0 is padding.
    pub items: Vec<u32>,
    /// `[users + 1]`: user `u` owns `items[offsets[u]..offsets[u + 1]]`.
    pub offsets: Vec<usize>,
}

impl Sequences {
    /// The number of users.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no user.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of one user, oldest first.
    pub fn get(&self, user: usize) -> &[u32] {
        &self.items[self.offsets[user]..self.offsets[user + 1]]
    }

    /// How often each of `items` items, that of id `i` at `i - 1`, stands in the sequences of `users`.
    pub fn occurrences(&self, users: &[usize], items: usize) -> Vec<u64> {
        let mut counts = vec![0; items];
        let of_users = users.iter().flat_map(|&user| self.get(user));
        of_users.for_each(|&id| counts[id as usize - 1] += 1);
        counts
    }
}

/// Items that no sequence holds although they were met, and who met them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cold {
    /// Item ids, ascending.
    pub items: Vec<u32>,
    /// Users, ascending, each with the cold item that stands last in their whole sequence, behind
    /// warm ones: those are all in `sequences`.
    pub targets: Vec<(u32, u32)>,
}

/// A prepared data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The catalogue by falling popularity; item id `i` is at `i - 1`.
    pub items: Vec<Item>,
    /// The users' ids in the source log.
    pub users: Vec<String>,
    /// The users' items.
    pub sequences: Sequences,
    /// The times of `sequences.items`, in the unit of the log, if it has times and who loaded it asked
    /// for them.
    pub times: Option<Vec<i64>>,
    /// `[users]`; where sequences are cut, all of them train.
    pub split: Vec<Split>,
    /// `[users]`: where a split of sequences cuts each of them. A user is then in each part that has items
    /// of it and, of those that are measured, items before them.
    pub cuts: Option<Vec<Cut>>,
    /// What is known of each item of the catalogue, and of each user.
    pub item_features: Option<Features>,
    pub user_features: Option<Features>,
    /// What the split takes out of training wholly.
    pub cold: Option<Cold>,
    /// What it is called and was made from.
    pub manifest: Manifest,
}

impl Dataset {
    /// How a dataset folder is known.
    pub const FOLDER: FolderKind = FolderKind {
        name: "a dataset folder",
        marker: super::manifest::FILE,
        files: &[
            super::manifest::FILE,
            "items.parquet",
            "users.parquet",
            "sequences.parquet",
            // What is known besides, where there is anything.
            "features.toml",
            "item_features.parquet",
            "user_features.parquet",
            "cold.parquet",
            // What is measured of baselines is kept with the data.
            "baselines.json",
        ],
    };

    /// The users of one part, by rising index.
    pub fn users_of(&self, part: Split) -> Vec<usize> {
        let is_in = |user: &usize| match &self.cuts {
            None => self.split[*user] == part,
            Some(cuts) => {
                let items = cuts[*user].items(part, self.sequences.get(*user).len());
                !items.is_empty() && (part == Split::Train || items.start > 0)
            }
        };
        (0..self.split.len()).filter(is_in).collect()
    }

    /// Whether anything can be measured: where everything trains nothing can.
    pub fn is_measured(&self) -> bool {
        self.cuts.is_some() || self.split.iter().any(|part| *part != Split::Train)
    }

    /// The items of the catalogue; ids go from 1 to this, both included.
    pub fn item_count(&self) -> usize {
        self.items.len()
    }

    /// What there is, counted.
    pub fn counts(&self) -> Counts {
        let of = |part| self.users_of(part).len() as u64;
        Counts {
            users: self.users.len() as u64,
            items: self.items.len() as u64,
            interactions: self.sequences.items.len() as u64,
            train_users: of(Split::Train),
            validation_users: of(Split::Validation),
            test_users: of(Split::Test),
        }
    }

    /// SHA-256 of all content (sequences, times, catalogue, users, split, and where there are any
    /// features and cold items), in hexadecimal. Two
    /// datasets of the same checksum are the same to whoever trains on them.
    pub fn checksum(&self) -> String {
        let times = self.times.as_deref().unwrap_or_default();
        let checksum = self.checksum_with(times.len(), |take| {
            take(times);
            Ok(())
        });
        checksum.expect("times that are there")
    }

    /// The same with `count` times that `times` hands over piece by piece.
    ///
    /// # Errors
    /// Those of `times`.
    pub(super) fn checksum_with(
        &self,
        count: usize,
        times: impl FnOnce(&mut dyn FnMut(&[i64])) -> Result<()>,
    ) -> Result<String> {
        let mut hash = Numbers { hash: Sha256::new(), buffer: Vec::new() };
        hash.all(&self.sequences.offsets, |offset| (*offset as u64).to_le_bytes());
        hash.all(&self.sequences.items, |item| item.to_le_bytes());
        hash.length(count);
        times(&mut |some: &[i64]| hash.some(some, |time| time.to_le_bytes()))?;
        hash.all(&self.items, |item| item.count.to_le_bytes());
        hash.all(&self.split, |part| [*part as u8]);
        if let Some(cuts) = &self.cuts {
            hash.all(cuts, |cut| (cut.validation as u64).to_le_bytes());
            hash.all(cuts, |cut| (cut.test as u64).to_le_bytes());
        }
        self.items.iter().for_each(|item| hash.name(&item.original));
        self.users.iter().for_each(|name| hash.name(name));
        for (of, features) in [("items", &self.item_features), ("users", &self.user_features)] {
            if let Some(features) = features {
                hash.name(of);
                hash.features(features);
            }
        }
        if let Some(cold) = &self.cold {
            hash.name("cold");
            hash.all(&cold.items, |item| item.to_le_bytes());
            hash.all(&cold.targets, |(user, _)| user.to_le_bytes());
            hash.all(&cold.targets, |(_, item)| item.to_le_bytes());
        }
        Ok(hex(&hash.hash.finalize()))
    }
}

/// Hashes long arrays piece by piece; a piece a number would be slow.
struct Numbers {
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Numbers {
    fn all<T, const N: usize>(&mut self, values: &[T], bytes: impl Fn(&T) -> [u8; N]) {
        self.length(values.len());
        self.some(values, bytes);
    }

    fn length(&mut self, length: usize) {
        self.hash.update((length as u64).to_le_bytes());
    }

    fn some<T, const N: usize>(&mut self, values: &[T], bytes: impl Fn(&T) -> [u8; N]) {
        for piece in values.chunks(1 << 16) {
            self.buffer.clear();
            self.buffer.extend(piece.iter().flat_map(&bytes));
            self.hash.update(&self.buffer);
        }
    }

    fn name(&mut self, name: &str) {
        self.length(name.len());
        self.hash.update(name);
    }

    fn features(&mut self, features: &Features) {
        self.all(&features.schema.fields, |field| [field.kind as u8]);
        for field in &features.schema.fields {
            self.name(&field.name);
            self.all(&field.values, |value| (value.len() as u64).to_le_bytes());
            field.values.iter().for_each(|value| self.hash.update(value));
            self.all(&field.bounds, |bound| bound.to_le_bytes());
        }
        self.all(&features.starts, |start| start.to_le_bytes());
        self.all(&features.codes, |code| code.to_le_bytes());
    }
}
