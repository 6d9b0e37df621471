//! The weights of an earlier run as those to start from, item by item as the log calls them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use tch::{Device, Tensor};

use super::checkpoint::differences;
use super::run_folder::RunFolder;
use crate::config::{Config, ScheduleKind};
use crate::data::Dataset;
use crate::misuse;
use crate::model::Model;
use crate::optim::{State, entry};
use crate::step::Stepper;

/// What is taken over from an earlier run.
pub struct WarmStart {
    weights: State,
    /// Where that run has kept it and it fits.
    optimisers: Option<State>,
    items: Items,
    /// What is to be told.
    pub note: String,
}

/// The items that both catalogues hold: their rows there and here.
struct Items {
    there: Tensor,
    here: Tensor,
}

impl WarmStart {
    /// Reads the run at `path` for a training by `config` on `dataset`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when there is no run whose weights would fit, or no item of
    /// `dataset` is known there.
    pub fn read(path: &Path, config: &Config, dataset: &Dataset) -> Result<Self> {
        let run = RunFolder::open(path)?;
        let trained = run.config(&[])?;
        let catalogue = run.items()?;
        let weights = Tensor::read_safetensors(run.weights_path())
            .with_context(|| format!("cannot use {}", run.weights_path().display()))?;
        if let Some(why) = misfit(&weights, catalogue.len(), config) {
            let keys = differences(&trained, config)?;
            let keys: Vec<String> =
                keys.into_iter().filter(|key| key.starts_with("tower.")).collect();
            misuse!("{} has weights of another shape: {why} ({})", path.display(), keys.join(", "));
        }
        let known: HashMap<&str, i64> =
            catalogue.iter().zip(1..).map(|(item, id)| (item.original.as_str(), id)).collect();
        let ids = dataset.items.iter().zip(1i64..);
        let pairs = ids.filter_map(|(item, id)| Some((*known.get(item.original.as_str())?, id)));
        let (there, here): (Vec<i64>, Vec<i64>) = pairs.unzip();
        if here.is_empty() {
            misuse!(
                "{} knows none of the items in {}: are they named alike?",
                path.display(),
                config.data.path.display()
            );
        }
        let mut note = format!(
            "starts from {}: {} items are known there, {} are new, {} are gone",
            path.display(),
            here.len(),
            dataset.item_count() - here.len(),
            catalogue.len() - here.len()
        );
        let mut optimisers = run.optimisers()?;
        // A rate that changes with the steps counts them from the first one.
        let goes_on = trained.optimizer.kind == config.optimizer.kind
            && config.optimizer.schedule == ScheduleKind::Constant;
        if optimisers.is_some() && !goes_on {
            note += "; its optimizer.safetensors is not taken, which asks for the same \
                     optimizer.kind and a constant optimizer.schedule";
            optimisers = None;
        }
        let items = Items { there: Tensor::from_slice(&there), here: Tensor::from_slice(&here) };
        Ok(Self { weights, optimisers, items, note })
    }

    /// Puts what is taken over in the place of a training's at its start. New items keep their
    /// initial vectors, and nothing is known of their gradients.
    ///
    /// # Errors
    /// When the optimisers' state is broken.
    pub fn apply(self, model: &Model, stepper: &mut Stepper) -> Result<()> {
        let tables: Vec<&str> = model.items.tables().iter().map(|(name, _)| *name).collect();
        let is_by_item = |name: &str| tables.contains(&name.split('/').next().unwrap_or(name));
        let Self { items, .. } = &self;
        let of = |state: &State, own: State| -> Result<State> {
            let filled = |(name, own): (String, Tensor)| {
                let saved = entry(state, &name)?;
                let by_item = is_by_item(&name) && saved.dim() > 0;
                let value = if by_item { items.taken(saved, &own) } else { saved.shallow_clone() };
                Ok((name, value))
            };
            own.into_iter().map(filled).collect()
        };
        let own = model.weights().into_iter().map(|(name, own)| (name.to_owned(), own)).collect();
        model.restore(&of(&self.weights, own)?)?;
        let Some(optimisers) = &self.optimisers else { return Ok(()) };
        of(optimisers, stepper.state())
            .and_then(|state| stepper.restore(&state))
            .context("cannot take over the optimisers' state")
    }
}

impl Items {
    /// `own` with the rows of `saved` for the items that both know.
    fn taken(&self, saved: &Tensor, own: &Tensor) -> Tensor {
        let rows = saved.index_select(0, &self.there).to_device(own.device());
        own.index_copy(0, &self.here.to_device(own.device()), &rows)
    }
}

/// Which weight of a catalogue of `items` items is not what `config` asks for, if any.
fn misfit(weights: &State, items: usize, config: &Config) -> Option<String> {
    // Of one item: shapes are the same but for the rows of tables.
    let small = Model::new(&config.tower, 1, config.seed, Device::Cpu);
    let tables: Vec<&str> = small.items.tables().iter().map(|(name, _)| *name).collect();
    let asked = small.weights();
    if let Some((name, _)) =
        weights.iter().find(|(name, _)| asked.iter().all(|(own, _)| own != name))
    {
        return Some(format!("`{name}` is one that is not asked for"));
    }
    asked.into_iter().find_map(|(name, own)| {
        let mut expected = own.size();
        if tables.contains(&name) {
            expected[0] = items as i64 + 1;
        }
        let found = weights.iter().find(|(saved, _)| saved == name).map(|(_, saved)| saved.size());
        let found = match found {
            Some(found) if found == expected => return None,
            Some(found) => format!("is {found:?}"),
            None => "is missing".to_owned(),
        };
        Some(format!("`{name}` {found} where {expected:?} is asked for"))
    })
}
