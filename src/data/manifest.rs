//! `dataset.toml`: what a dataset folder says about itself.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::read::SourceFile;
use super::rules::Rules;
use super::span::Span;
use super::split_rule::SplitRule;
use crate::config::LogSize;
use crate::formats::{self, Version, Versioned};
use crate::reading;

/// The file's name within the folder.
pub(super) const FILE: &str = "dataset.toml";

/// What a dataset is called, holds, and was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the folder's layout when it was written.
    pub format: Version,
    /// The version of the program that wrote it.
    pub croloss: String,
    pub name: String,
    /// Whether its description calls it generated.
    #[serde(default)]
    pub generated: bool,
    /// Of all content, in hexadecimal; see [`super::Dataset::checksum`].
    pub checksum: String,
    pub counts: Counts,
    pub rules: Rules,
    pub split: SplitRule,
    pub dropped: DroppedCounts,
    /// When the log begins and ends, if it has times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    #[serde(default)]
    pub files: Vec<SourceFile>,
    /// What is known of items, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<KnownCounts>,
    /// What is known of users, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<KnownCounts>,
}

/// What preparation found of the fields of items or users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCounts {
    /// Values of categories that fewer have share one code.
    pub min_count: u64,
    /// Records of what is not in the dataset.
    pub left_out: u64,
    /// Items that came into the catalogue by their records.
    #[serde(default)]
    pub kept_cold: u64,
    /// The first of those that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_left_out: Option<LeftOut>,
    pub fields: Vec<FieldCounts>,
    /// Where it was read; none: in the log.
    #[serde(default)]
    pub files: Vec<SourceFile>,
}

/// A record of what is not in the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub id: String,
    /// Its file and line.
    pub place: String,
}

/// What preparation found of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCounts {
    pub name: String,
    /// Items or users that have a value.
    pub known: u64,
    /// Values that too few have.
    pub rare: u64,
    /// How often the log says something else later on, which does not count.
    #[serde(default)]
    pub others: u64,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub users: u64,
    pub items: u64,
    pub interactions: u64,
    pub train_users: u64,
    pub validation_users: u64,
    pub test_users: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} users ({} + {} + {}), {} items and {} interactions",
            self.users,
            self.train_users,
            self.validation_users,
            self.test_users,
            self.items,
            self.interactions
        )
    }
}

/// What preparation dropped, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedCounts {
    /// Interactions that a `keep` filter left out while reading.
    pub left_out: u64,
    /// By `short_users_first`: users with too few interactions, and those interactions.
    #[serde(default)]
    pub early_short_users: u64,
    #[serde(default)]
    pub early_short_user_interactions: u64,
    /// Items with too few interactions, and the interactions that went with them.
    pub rare_items: u64,
    pub rare_item_interactions: u64,
    /// Users with too few interactions with the remaining items, and those interactions.
    pub short_users: u64,
    pub short_user_interactions: u64,
    /// By a split by days or a given one: items that no user has met who trains or validates, and
    /// the interactions of those who test.
    #[serde(default)]
    pub unseen_items: u64,
    #[serde(default)]
    pub unseen_item_interactions: u64,
    /// Users who would test, but have too few interactions left, and those interactions.
    #[serde(default)]
    pub short_test_users: u64,
    #[serde(default)]
    pub short_test_user_interactions: u64,
    /// Of cold items: the interactions that went with them, and users who have no others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cold_item_interactions: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cold_users: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Manifest {
    /// How much the log of a dataset folder holds.
    ///
    /// # Errors
    /// Those of [`Manifest::load`].
    pub fn size_of(folder: &Path) -> Result<LogSize> {
        Ok(Self::load(folder)?.size())
    }

    /// How much the log holds.
    pub fn size(&self) -> LogSize {
        LogSize { users: self.counts.users, interactions: self.counts.interactions }
    }

    /// Reads the manifest of a dataset folder.
    ///
    /// # Errors
    /// A folder that is none, or of another version of the layout.
    pub fn load(folder: &Path) -> Result<Manifest> {
        let path = folder.join(FILE);
        if !path.is_file() {
            bail!("{} is not a dataset folder; make one with croloss prepare", folder.display());
        }
        let text = reading::text(&path)?;
        // The version first: another version may have other keys.
        let damaged = |error: toml::de::Error| {
            anyhow::anyhow!("{}: {}; prepare it again", path.display(), error.message())
        };
        let Versioned { format } = toml::from_str(&text).map_err(damaged)?;
        let dataset = format!("the dataset {}", folder.display());
        formats::DATASET.reads(format, dataset, "prepare it again")?;
        toml::from_str(&text).map_err(damaged)
    }
}
