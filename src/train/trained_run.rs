//! A run with its dataset, as all that uses trained weights needs it.

use std::path::Path;

use anyhow::{Context, Result};

use super::context::RunContext;
use super::run_folder::RunFolder;
use crate::config::Config;
use crate::data::Dataset;
use crate::misuse;
use crate::model::Model;

/// A run folder, its configuration and the dataset that it was trained on.
pub struct TrainedRun {
    folder: RunFolder,
    pub config: Config,
    pub dataset: Dataset,
}

impl TrainedRun {
    /// Opens the run at `path`; `sets` change its configuration.
    ///
    /// # Errors
    /// When there is no run, or the dataset is not the one it was trained on.
    pub fn open(path: &Path, sets: &[String]) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let config = folder.config(sets)?;
        let dataset = Dataset::load(&config.data.path)
            .with_context(|| format!("data.path in {}", folder.config_path().display()))?;
        if folder.info()?.checksum != dataset.manifest.checksum {
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
    pub fn context(&self) -> Result<RunContext<'_>> {
        RunContext::new(&self.config, &self.dataset)
    }

    /// The model with the run's best weights.
    ///
    /// # Errors
    /// Names the file of weights that cannot be used, or the run that has none yet.
    pub fn model(&self, context: &RunContext) -> Result<Model> {
        let model = context.model();
        model.load(&self.folder.weights()?)?;
        Ok(model)
    }
}
