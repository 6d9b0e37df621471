//! The folder of one training run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::files;

/// A run's configuration, logs, weights and results.
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new run folder and saves the effective configuration first of all. `force` removes
    /// a run that stands there.
    ///
    /// # Errors
    /// When something stands at `path` and `force` is not given, or is not a run folder.
    pub fn create(path: &Path, config: &Config, force: bool) -> Result<Self> {
        files::refuse_existing(path, force)?;
        let run = Self { path: path.into() };
        if path.exists() {
            if !run.config_path().exists() {
                bail!(
                    "{} is not a run folder (it has no config.toml): --force removes runs only",
                    path.display()
                );
            }
            fs::remove_dir_all(path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        files::write_file(&run.config_path(), toml::to_string(config)?)?;
        Ok(run)
    }

    /// An existing run.
    ///
    /// # Errors
    /// When there is none at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.into() };
        if !run.config_path().exists() {
            bail!(
                "{} is not a run folder: it has no config.toml; make one with `croloss train`",
                path.display()
            );
        }
        Ok(run)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The effective configuration.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The weights of the best validation.
    pub fn weights_path(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The ranks of the test targets, see [`super::UserRanks`].
    pub fn ranks_path(&self) -> PathBuf {
        self.path.join("ranks.parquet")
    }

    /// Writes a JSON file of the run.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        files::write_file(&self.path.join(name), serde_json::to_string_pretty(value)? + "\n")
    }

    /// Reads a JSON file of the run.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: did the run start?", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is broken", path.display()))
    }
}
