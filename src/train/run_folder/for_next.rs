//! What a run keeps for one that starts from it: which item and which value each row is, and what the
//! optimisers know.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{FEATURES, ITEMS, OPTIMIZER, RunFolder};
use crate::config::Config;
use crate::data::{Dataset, Item, Schema};
use crate::files;
use crate::model::Known;
use crate::optim::State;
use crate::reading;
use crate::train::checkpoint::on_host;

/// The fields that towers read, with the values that are known in each.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Schema>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Schema>,
}

impl KnownFields {
    /// Those that are known to a training.
    pub fn of(known: &Known) -> Self {
        let items = known.items.as_ref().map(|known| known.lists.schema().clone());
        Self { items, users: known.users.as_ref().map(|lists| lists.schema().clone()) }
    }
}

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

    /// Keeps which value each row of tables of values is, where there are such.
    pub(in crate::train) fn keep_features(&self, fields: &KnownFields) -> Result<()> {
        if fields.items.is_none() && fields.users.is_none() {
            return Ok(());
        }
        files::write_file(&self.path.join(FEATURES), serde_json::to_string(fields)?)
    }

    /// The values of the rows of tables of values, where the run, trained by `config`, has such.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub(in crate::train) fn features(&self, config: &Config) -> Result<KnownFields> {
        let tower = &config.tower;
        if tower.item_features.is_empty() && tower.user_features.is_empty() {
            return Ok(KnownFields::default());
        }
        let path = self.path.join(FEATURES);
        let broken = || format!("{} is broken", path.display());
        let fields: KnownFields =
            serde_json::from_str(&reading::text(&path)?).with_context(broken)?;
        for schema in fields.items.iter().chain(&fields.users) {
            schema.check().with_context(broken)?;
        }
        Ok(fields)
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
