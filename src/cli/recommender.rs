//! The options that say what to recommend with, and the recommender that they open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use tch::{CModule, Tensor};

use super::choice::one_of;
use super::device::{device_choice, note_missing_gpu, threads};
use super::table::{self, count};
use crate::config::DeviceChoice;
use crate::export::Export;
use crate::misuse;
use crate::retrieve::{
    Catalogue, Exact, Filter, Index, MostPopular, POPULARITY, Recommender, Search, UserTower,
};
use crate::step::Plan;
use crate::train::TrainedRun;

/// Options of `recommend` and `serve`.
#[derive(clap::Args)]
pub struct RecommenderOptions {
    /// Search the index that `croloss index` built: quicker, and nearly as good
    #[arg(long)]
    index: bool,
    /// Recommend only these items: a file of one original id a line
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// Never recommend these items: a file of one original id a line
    #[arg(long, value_name = "FILE")]
    deny: Option<PathBuf>,
    /// Answer histories without any known item by what is most popular in the training data
    /// [default: they get no answer]
    #[arg(long, value_name = "HOW", value_parser = one_of(&[POPULARITY], |name| name, |_| ""))]
    cold_start: Option<&'static str>,
    /// auto, cpu, cuda or cuda:INDEX [default: as the run is configured; for an export: auto]
    #[arg(long, value_parser = device_choice)]
    device: Option<DeviceChoice>,
    /// CPU threads; 0: one for every core [default: as the run is configured; for an export: 0]
    #[arg(long, value_name = "N", value_parser = threads())]
    threads: Option<u32>,
}

/// How often an export is read that is replaced meanwhile.
const TRIES: usize = 3;

/// A tower of either kind of folder.
pub type AnyTower = Box<dyn UserTower>;

impl RecommenderOptions {
    /// A recommender from an export alone.
    ///
    /// # Errors
    /// Names the file that is missing or altered.
    pub fn of_export(&self, folder: &Path) -> Result<(Recommender<CModule>, Export)> {
        for _ in 0..TRIES {
            let export = Export::open(folder)?;
            let opened = self.opened(&export);
            if export.is_there() {
                return Ok((opened?, export));
            }
        }
        bail!("{} was replaced while it was read: try again", folder.display())
    }

    fn opened(&self, export: &Export) -> Result<Recommender<CModule>> {
        let choice = self.device.unwrap_or_default();
        note_missing_gpu(choice);
        let device = Plan::open_for_ranking(choice, self.threads.unwrap_or(0))?;
        let originals: Vec<String> =
            export.items()?.into_iter().map(|item| String::from(item.original)).collect();
        let catalogue = Catalogue::new(originals);
        let rows = self.rows(&catalogue)?;
        let popular = self.popular(rows.as_deref(), || export.training_counts())?;
        let search = match self.index {
            true => Search::Approximate(Index::open(export, rows.as_deref())?),
            false => Search::Exact(Exact::new(&export.item_vectors(device)?, rows)?),
        };
        Ok(Recommender {
            catalogue: Arc::new(catalogue),
            tower: export.user_tower(device)?,
            search,
            popular,
            repeats: export.manifest.repeats.clone(),
            history: export.manifest.history,
            user_fields: export.user_features()?.map(Arc::new),
            device,
        })
    }

    /// A recommender from a run's weights.
    ///
    /// # Errors
    /// When the weights do not fit; with `--index`, which needs an export.
    pub fn of_run(
        &self,
        mut run: TrainedRun,
        path: &Path,
    ) -> Result<(Recommender<AnyTower>, TrainedRun)> {
        if self.index {
            misuse!(
                "{} has no index: make an export of it with croloss export, then croloss index",
                path.display()
            );
        }
        run.config.device = self.device.unwrap_or(run.config.device);
        run.config.threads = self.threads.unwrap_or(run.config.threads);
        note_missing_gpu(run.config.device);
        let context = run.context()?;
        let model = run.model(&context)?;
        let device = context.plan.device;
        let originals = run.dataset.items.iter().map(|item| item.original.to_string()).collect();
        let catalogue = Catalogue::new(originals);
        let rows = self.rows(&catalogue)?;
        let popular = self.popular(rows.as_deref(), || Ok(run.dataset.training_counts()))?;
        let vectors: Tensor = model.item_vectors();
        let recommender = Recommender {
            catalogue: Arc::new(catalogue),
            search: Search::Exact(Exact::new(&vectors, rows)?),
            popular,
            repeats: model.additions(),
            user_fields: model.user_features.as_ref().map(|own| own.schema().clone().into()),
            tower: Box::new(model) as AnyTower,
            history: run.config.tower.history,
            device,
        };
        Ok((recommender, run))
    }

    /// What is popular among `rows`, if it is asked for.
    fn popular(
        &self,
        rows: Option<&[u32]>,
        counts: impl FnOnce() -> Result<Vec<u64>>,
    ) -> Result<Option<MostPopular>> {
        self.cold_start.map(|_| Ok(MostPopular::new(&counts()?, rows))).transpose()
    }

    /// The rows that may be recommended; `None`: all.
    fn rows(&self, catalogue: &Catalogue) -> Result<Option<Vec<u32>>> {
        if self.allow.is_none() && self.deny.is_none() {
            return Ok(None);
        }
        let filter = Filter::read(catalogue, self.allow.as_deref(), self.deny.as_deref())?;
        if filter.unknown > 0 {
            let unknown = count(filter.unknown as u64);
            table::warn(format_args!("warning: {unknown} items to allow or deny are not known"));
        }
        Ok(Some(filter.rows))
    }
}
