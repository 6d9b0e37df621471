//! Checkpoints of ranks: each writes the rows that it has, with their numbers, and reads those that it
//! is to have, whoever wrote them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};

use super::{About, BEST, Checkpoints, is_finite, views};
use crate::device::memory;
use crate::files;
use crate::model::Model;
use crate::optim::State;
use crate::ranks::{Shard, Team};
use crate::step::Stepper;
use crate::tensor_file::{self, TensorFile};
use crate::train::losses::Losses;

/// Of each row of a rank's tables its number among all.
const ROWS: &str = "rows";

/// Rows that are read at a time.
const BLOCK: i64 = 1 << 16;

/// What ranks keep of a training, all of it as it is: nothing is copied but what is written.
pub struct Parts<'a> {
    pub team: &'a Team,
    pub model: &'a Model,
    pub stepper: &'a Stepper,
    pub losses: &'a Losses,
    /// Where the log is, and the best weights so far, if there are any.
    pub log: &'a Path,
    pub best: Option<&'a Path>,
}

impl Checkpoints {
    /// Writes a checkpoint of ranks, each of which writes its part, and removes all but the latest
    /// `kept`; all call it together.
    ///
    /// # Errors
    /// On all of them, what one has failed at: the checkpoints before stay.
    pub fn write_parts(&self, mut about: About, parts: &Parts, kept: usize) -> Result<()> {
        let (team, shard, step) = (parts.team, parts.team.shard(), about.standing.step);
        let staging = team.is_first().then(|| self.stage(step, parts.best)).transpose();
        let staging = team.agree(staging)?;
        let folder = self.staged(step);
        let file = folder.join(name(shard));
        let checksum = team.agree(parts.write(&file, step).and_then(|()| files::sha256(&file)))?;
        let checksums = team.gathered(checksum.into_bytes());
        let seal = |staging| {
            for (rank, checksum) in checksums.into_iter().enumerate() {
                about.files.insert(name(shard.of(rank)), String::from_utf8(checksum)?);
            }
            self.seal(about, parts.log, staging, kept)
        };
        team.agree(staging.map(seal).transpose()).map(drop)
    }
}

impl Parts<'_> {
    fn write(&self, file: &Path, step: u64) -> Result<()> {
        let mut all = views(self.model, self.stepper, self.losses);
        ensure!(is_finite(&all), "weights are no numbers at step {step}: it is not kept");
        let shard = self.team.shard();
        let here = shard.count(self.model.items.len());
        let rows: Vec<i64> = (0..=here).map(|local| shard.global(local) as i64).collect();
        all.push((ROWS.into(), Tensor::from_slice(&rows)));
        tensor_file::write(file, &all)?;
        files::sync(file)
    }
}

/// The name of a rank's file.
fn name(Shard { rank, ranks }: Shard) -> String {
    format!("state-{rank}-of-{ranks}.safetensors")
}

/// The names of all ranks' files among those of a checkpoint, if all are there.
pub(super) fn all_parts(files: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let ranks = files.keys().filter(|file| *file != BEST).count();
    let names: Vec<String> = (0..ranks).map(|rank| name(Shard { rank, ranks })).collect();
    (ranks > 0 && names.iter().all(|name| files.contains_key(name))).then_some(names)
}

/// What the files hold of each tensor of `own`: of those that have a row an item the rows that `model`
/// has, which are put in their places, so that nobody holds them twice; of others all.
///
/// # Errors
/// Names what is missing or does not fit.
pub(super) fn read(files: &[PathBuf], model: &Model, own: State) -> Result<State> {
    let _guard = tch::no_grad_guard();
    let shard = model.items.team().shard();
    let mut files: Vec<(Shard, TensorFile)> = files
        .iter()
        .enumerate()
        .map(|(rank, file)| Ok((Shard { rank, ranks: files.len() }, TensorFile::open(file)?)))
        .collect::<Result<_>>()?;
    // As many ranks as wrote them find all they want in their own.
    files.sort_by_key(|(of, _)| *of != shard);
    let tables: Vec<&str> = model.items.tables_by_item().iter().map(|(name, _)| *name).collect();
    let read = |(name, own): (String, Tensor)| {
        let of = name.split('/').nth(1).unwrap_or_default();
        let by_item = tables.contains(&of) && own.dim() > 0;
        let read = match by_item {
            true => rows_of(&files, &name, &own, model.items.len(), shard)?,
            false => files[0].1.whole(&name)?,
        };
        Ok((name, read))
    };
    own.into_iter().map(read).collect()
}

/// Makes `own` what the files say.
fn rows_of(
    files: &[(Shard, TensorFile)],
    name: &str,
    own: &Tensor,
    items: usize,
    shard: Shard,
) -> Result<Tensor> {
    let to = own.shallow_clone();
    let mut missing = shard.count(items);
    for (_, file) in files {
        let shape = file.shape(name).with_context(|| format!("`{name}` is missing"))?;
        let fits = shape.len() == own.dim() && shape[1..] == own.size()[1..];
        ensure!(fits, "`{name}` is of shape {shape:?}, which does not fit {:?}", own.size());
        let rows = shape[0];
        for from in (0..rows).step_by(BLOCK as usize) {
            if missing == 0 {
                break;
            }
            let count = BLOCK.min(rows - from);
            let ids = match file.shape(ROWS) {
                Some(_) => file.rows(ROWS, from, count)?,
                None => Tensor::arange_start(from, from + count, (Kind::Int64, own.device())),
            };
            let listed = memory::ids(&ids).iter().enumerate();
            let wanted = listed.filter(|(_, id)| **id > 0 && shard.owns(**id as usize));
            let (places, local): (Vec<i64>, Vec<i64>) =
                wanted.map(|(place, &id)| (place as i64, shard.local(id as usize) as i64)).unzip();
            let within = local.iter().all(|&local| local < own.size()[0]);
            ensure!(within && local.len() <= missing, "`{name}` has rows of other items");
            missing -= local.len();
            if !local.is_empty() {
                let block = file.rows(name, from, count)?;
                let block = block.index_select(0, &Tensor::from_slice(&places));
                let _ = to.shallow_clone().index_copy_(0, &Tensor::from_slice(&local), &block);
            }
        }
    }
    ensure!(missing == 0, "`{name}` lacks the rows of {missing} items");
    Ok(to)
}
