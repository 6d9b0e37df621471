//! The weights of an earlier run as those to start from, item by item as the log calls them, and
//! value by value of their fields.

mod values;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tch::{Device, Tensor};

use super::checkpoint::differences;
use super::run_folder::{KnownFields, RunFolder};
use crate::config::{Config, ScheduleKind};
use crate::data::{Dataset, Features, Schema};
use crate::misuse;
use crate::model::{Known, KnownItems, Model, ValueLists};
use crate::optim::{State, entry};
use crate::step::Stepper;

/// What is taken over from an earlier run.
pub struct WarmStart {
    weights: State,
    /// Where that run has kept it and it fits.
    optimisers: Option<State>,
    /// Without those that the dataset's split has set aside.
    items: Shared,
    /// Of the tables of values, where items or users have features.
    item_values: Option<Shared>,
    user_values: Option<Shared>,
    /// What is to be told.
    pub note: String,
}

/// What both runs know: the rows of a table there and here.
struct Shared {
    there: Tensor,
    here: Tensor,
}

/// Refuses to train from the run that would be removed for it.
///
/// # Errors
/// [`crate::error::Misuse`] where `from` and `out` are the same folder.
pub fn refuse_own_start(from: &Path, out: &Path) -> Result<()> {
    let place = |path: &Path| fs::canonicalize(path).ok();
    if place(out).is_some_and(|out| place(from) == Some(out)) {
        misuse!(
            "{} is what the training starts from, and would be removed for it: choose another --out",
            out.display()
        );
    }
    Ok(())
}

impl WarmStart {
    /// Reads the run at `path` for a training by `config` on `dataset`, of which `known` is known.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when there is no run whose weights would fit, or no item of
    /// `dataset` is known there.
    pub fn read(path: &Path, config: &Config, dataset: &Dataset, known: &Known) -> Result<Self> {
        let run = RunFolder::open(path)?;
        let trained = run.config(&[])?;
        let (catalogue, fields) = (run.items()?, run.features(&trained)?);
        let weights = run.weights()?;
        let weights = Tensor::read_safetensors(&weights)
            .with_context(|| format!("cannot use {}", weights.display()))?;
        if let Some(why) = misfit(&weights, catalogue.len(), &fields, config) {
            let keys = differences(&trained, config)?;
            let keys: Vec<String> =
                keys.into_iter().filter(|key| key.starts_with("tower.")).collect();
            misuse!("{} has weights of another shape: {why} ({})", path.display(), keys.join(", "));
        }
        let rows: HashMap<&str, i64> =
            catalogue.iter().zip(1..).map(|(item, id)| (item.original.as_str(), id)).collect();
        let ids = dataset.items.iter().zip(1i64..);
        let both: Vec<(i64, i64)> =
            ids.filter_map(|(item, id)| Some((*rows.get(item.original.as_str())?, id))).collect();
        if both.is_empty() {
            misuse!(
                "{} knows none of the items in {}: are they named alike?",
                path.display(),
                config.data.path.display()
            );
        }
        let mut note = format!(
            "starts from {}: {} items are known there, {} are new, {} are gone",
            path.display(),
            both.len(),
            dataset.item_count() - both.len(),
            catalogue.len() - both.len()
        );
        if !RunFolder::has_result(path) {
            note += "; it is not finished: its best weights so far are taken";
        }
        // That run may have met them: their recall would be that of items which are known.
        let aside = dataset.cold.as_ref().map_or(&[][..], |cold| &cold.items);
        let is_aside = |id: i64| aside.binary_search(&(id as u32)).is_ok();
        let items = Shared::of(both.iter().copied().filter(|(_, id)| !is_aside(*id)));
        if items.len() < both.len() {
            note += &format!(
                "; {} of those known are set aside to be measured (split.cold_one_in): they start \
                 as new ones do",
                both.len() - items.len()
            );
        }
        let own = KnownFields::of(known);
        let mut shared = |here: Option<Schema>, there: Option<Schema>, whose| {
            let (here, there) = here.zip(there)?;
            let shared = Shared::of(values::shared(&there, &here).into_iter());
            let (all, known) = (here.rows() - 1, shared.len());
            note += &format!("; of {all} values of {whose} fields {known} are known there");
            Some(shared)
        };
        let item_values = shared(own.items, fields.items, "items'");
        let user_values = shared(own.users, fields.users, "users'");
        let mut optimisers = run.optimisers()?;
        // A rate that changes with the steps counts them from the first one.
        let goes_on = trained.optimizer.kind == config.optimizer.kind
            && config.optimizer.schedule == ScheduleKind::Constant;
        if optimisers.is_some() && !goes_on {
            note += "; its optimizer.safetensors is not taken, which asks for the same \
                     optimizer.kind and a constant optimizer.schedule";
            optimisers = None;
        }
        Ok(Self { weights, optimisers, items, item_values, user_values, note })
    }

    /// Puts what is taken over in the place of a training's at its start. New items and values keep
    /// their initial vectors, and nothing is known of their gradients.
    ///
    /// # Errors
    /// When the optimisers' state is broken.
    pub fn apply(self, model: &Model, stepper: &mut Stepper) -> Result<()> {
        let by_item = model.items.tables_by_item().into_iter().map(|(name, _)| (name, &self.items));
        let values = [
            (model.items.features(), &self.item_values),
            (model.user_features.as_ref(), &self.user_values),
        ];
        let by_value = values
            .into_iter()
            .filter_map(|(features, shared)| Some((features?.table().0, shared.as_ref()?)));
        let tables: HashMap<&str, &Shared> = by_item.chain(by_value).collect();
        let of = |state: &State, own: State| -> Result<State> {
            let filled = |(name, own): (String, Tensor)| {
                let saved = entry(state, &name)?;
                let shared = tables.get(name.split('/').next().unwrap_or(&name));
                let value = match shared.filter(|_| saved.dim() > 0) {
                    Some(shared) => shared.taken(saved, &own),
                    None => saved.shallow_clone(),
                };
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

impl Shared {
    /// From pairs of rows, there and here.
    fn of(pairs: impl Iterator<Item = (i64, i64)>) -> Self {
        let (there, here): (Vec<i64>, Vec<i64>) = pairs.unzip();
        Self { there: Tensor::from_slice(&there), here: Tensor::from_slice(&here) }
    }

    fn len(&self) -> usize {
        self.here.numel()
    }

    /// `own` with the rows of `saved` that both know.
    fn taken(&self, saved: &Tensor, own: &Tensor) -> Tensor {
        let rows = saved.index_select(0, &self.there).to_device(own.device());
        own.index_copy(0, &self.here.to_device(own.device()), &rows)
    }
}

/// Which weight of a catalogue of `items` items, with such `fields`, is not what `config` asks for, if
/// any.
fn misfit(weights: &State, items: usize, fields: &KnownFields, config: &Config) -> Option<String> {
    // Of one item: shapes are the same but for the rows of its tables.
    let lists = |asked: &[String], there: &Option<Schema>| {
        let schema = there.clone().unwrap_or_default();
        let features = Features { schema, starts: vec![0; 2], codes: vec![] };
        (!asked.is_empty()).then(|| Arc::new(ValueLists::new(&features)))
    };
    let of_items = lists(&config.tower.item_features, &fields.items);
    let known = Known {
        items: of_items.map(|lists| KnownItems { lists, met: vec![true] }),
        users: lists(&config.tower.user_features, &fields.users),
    };
    let small = Model::new(&config.tower, 1, config.seed, Device::Cpu).knowing(&known, config.seed);
    let tables: Vec<&str> = small.items.tables_by_item().iter().map(|(name, _)| *name).collect();
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
