//! The description of a data set: where its log lies, how it is read, filtered and split.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::read::{Format, Source};
use super::split::SplitRule;
use crate::{config, misuse};

/// `datasets/NAME.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub about: String,
    /// Where to get it.
    #[serde(default)]
    pub homepage: String,
    #[serde(default)]
    pub licence: String,
    #[serde(default)]
    pub source: SourceDescription,
    #[serde(default)]
    pub rules: Rules,
    #[serde(default)]
    pub split: SplitRule,
}

/// `[source]`: the log's files and their columns.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDescription {
    /// Relative to the folder that the program runs in.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    pub format: Option<Format>,
    pub user: Option<String>,
    pub item: Option<String>,
    pub time: Option<String>,
    pub separator: Option<char>,
    pub header: Option<bool>,
    #[serde(default)]
    pub keep: BTreeMap<String, Vec<String>>,
}

/// `[rules]`: what is too rare to learn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Items with fewer interactions are dropped, first.
    pub min_item_count: u64,
    /// Users with fewer remaining interactions are dropped, then.
    pub min_user_count: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { min_item_count: 5, min_user_count: 5 }
    }
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// A file that is missing or is no description, with file, line and the nearest known key.
    pub fn load(path: &Path) -> Result<Description> {
        if !path.is_file() {
            misuse!("there is no file {}", path.display());
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).map_err(|error| config::explain(path, &text, &error))
    }
}

impl SourceDescription {
    /// The log that is described.
    pub fn source(&self) -> Source {
        Source {
            files: self.files.clone(),
            format: self.format,
            user: self.user.clone(),
            item: self.item.clone(),
            time: self.time.clone(),
            separator: self.separator,
            header: self.header.unwrap_or(true),
            keep: self.keep.clone(),
        }
    }
}
