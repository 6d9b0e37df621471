//! What a run keeps for one that starts from it: which item each row is, and what the optimisers
//! know.

use std::path::Path;

use anyhow::{Context, Result};
use tch::Tensor;

use super::{ITEMS, OPTIMIZER, RunFolder};
use crate::data::{Dataset, Item};
use crate::files;
use crate::optim::State;
use crate::train::checkpoint::on_host;

impl RunFolder {
    /// Keeps which item each row of the weights is, whatever becomes of the dataset.
    pub(in crate::train) fn keep_items(&self, dataset: &Path) -> Result<()> {
        let own = self.path.join(ITEMS);
        match own.exists() {
            true => Ok(()),
            false => files::write_with(&own, |staging| {
                files::link_or_copy(&Dataset::items_path(dataset), staging)
            }),
        }
    }

    /// The items of the weights' rows.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub(in crate::train) fn items(&self) -> Result<Vec<Item>> {
        Dataset::read_items(&self.path.join(ITEMS))
    }

    /// Keeps the optimisers' state at the end of the training.
    pub(in crate::train) fn keep_optimisers(&self, state: State) -> Result<()> {
        let state = on_host(state);
        files::write_with(&self.path.join(OPTIMIZER), |staging| {
            Ok(Tensor::write_safetensors(&state, staging)?)
        })
    }

    /// The optimisers' state, where it is kept.
    ///
    /// # Errors
    /// Names the file that is broken.
    pub(in crate::train) fn optimisers(&self) -> Result<Option<State>> {
        let file = self.path.join(OPTIMIZER);
        if !file.exists() {
            return Ok(None);
        }
        let state = Tensor::read_safetensors(&file);
        Ok(Some(state.with_context(|| format!("cannot use {}", file.display()))?))
    }
}
