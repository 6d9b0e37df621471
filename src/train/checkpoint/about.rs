//! What a checkpoint holds besides tensors: `checkpoint.json`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::super::standing::Standing;
use crate::config::{Config, Settings};
use crate::formats::{self, Version, Versioned};

/// The content of `checkpoint.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    format: Version,
    /// The program's version and commit.
    version: String,
    commit: String,
    /// Of the content of the dataset that is trained on.
    pub checksum: String,
    /// The effective configuration, as TOML.
    config: String,
    /// The counters of randomness: each draw is a function of seed, purpose and step.
    random: Counters,
    pub standing: Standing,
    /// The SHA-256 of each file beside this one.
    pub files: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Counters {
    seed: u64,
    /// The step whose draws come next, from 0.
    next_step: u64,
}

impl About {
    /// Of a training that stands there; its files are yet to come.
    ///
    /// # Errors
    /// When the configuration cannot be written as TOML.
    pub fn new(config: &Config, checksum: &str, standing: &Standing) -> Result<Self> {
        Ok(Self {
            format: formats::CHECKPOINT,
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("CROLOSS_COMMIT").into(),
            checksum: checksum.into(),
            config: toml::to_string(config)?,
            random: Counters { seed: config.seed, next_step: standing.step },
            standing: standing.kept(),
            files: BTreeMap::new(),
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is broken or of another version's layout.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Versioned { format } = serde_json::from_str(text)?;
        formats::CHECKPOINT.reads(format, "it", "go on with the program that wrote it")?;
        Ok(serde_json::from_str(text)?)
    }

    /// The configuration of the training.
    ///
    /// # Errors
    /// When this version does not know it any more.
    pub fn config(&self) -> Result<Config> {
        let read = toml::from_str::<Settings>(&self.config).map_err(anyhow::Error::from);
        read.and_then(Settings::checked).context("the configuration in the checkpoint")
    }
}
