//! A run with its dataset, as the subcommands that use trained weights need it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::config::{self, Config};
use crate::data::Dataset;
use crate::misuse;
use crate::model::Model;
use crate::train::{RunContext, RunFolder};

/// A run folder, its configuration and the dataset that it was trained on.
pub struct OpenRun {
    folder: RunFolder,
    pub config: Config,
    pub dataset: Dataset,
}

/// What `run.json` says of the data that the run was trained on.
#[derive(Deserialize)]
struct Trained {
    checksum: String,
}

impl OpenRun {
    /// Opens the run at `path`; `sets` change its configuration.
    ///
    /// # Errors
    /// When there is no run, or the dataset is not the one it was trained on.
    pub fn new(path: &Path, sets: &[String]) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let config = config::load(&folder.config_path(), sets)?;
        let dataset = Dataset::load(&config.data.path)
            .with_context(|| format!("data.path in {}", folder.config_path().display()))?;
        let trained: Trained = folder.read_json("run.json")?;
        if trained.checksum != dataset.manifest.checksum {
            misuse!(
                "{} is not the dataset that {} was trained on: their checksums differ",
                config.data.path.display(),
                path.display()
            );
        }
        Ok(Self { folder, config, dataset })
    }

    /// The device and threads of the configuration.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn session(&self) -> Result<RunContext<'_>> {
        RunContext::new(&self.config, &self.dataset)
    }

    /// The model with the run's best weights.
    ///
    /// # Errors
    /// Names the file of weights that cannot be used.
    pub fn model(&self, session: &RunContext) -> Result<Model> {
        let model = session.model();
        model.load(&self.folder.weights_path())?;
        Ok(model)
    }
}
