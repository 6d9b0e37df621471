//! The folder of one training run: the names of its files, and how each of them is written and read.

mod for_next;
mod info;
mod lock;
mod log;
mod ranks;
mod result;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::{About, Checkpoints};
use super::diverged::Diverged;
use crate::config::{self, Config};
use crate::files;
use crate::locks::Lock;
use crate::misuse;

pub(super) use for_next::KnownFields;
pub use info::RunInfo;
pub use lock::Holder;
pub use log::{LogLine, LogTail, LogWriter};
pub use ranks::{LogIds, TargetRanks};
pub use result::{Ending, Failure, RunResult, by_name};

const CONFIG: &str = "config.toml";
const INFO: &str = "run.json";
const LOG: &str = "metrics.jsonl";
const WEIGHTS: &str = "best.safetensors";
const RANKS: &str = "ranks.parquet";
const ITEMS: &str = "items.parquet";
const FEATURES: &str = "features.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const RESULT: &str = "result.json";
const DIVERGED: &str = "diverged.json";
const FAILURE: &str = "failed.json";
/// How the name of a TensorBoard event file starts, in every program.
const EVENTS: &str = "events.out.tfevents.";

/// The folder of checkpoints, while the run is not finished.
const CHECKPOINTS: &str = "checkpoints";

/// Who works in it.
const LOCK: &str = "run.lock";

/// The files of a run.
const FILES: [&str; 13] = [
    CONFIG,
    INFO,
    LOG,
    WEIGHTS,
    ITEMS,
    FEATURES,
    OPTIMIZER,
    RANKS,
    RESULT,
    DIVERGED,
    FAILURE,
    CHECKPOINTS,
    LOCK,
];

/// Refuses a path where something stands already; with `force`, where anything but a run stands,
/// so that a mistyped path costs nobody's files.
pub fn refuse_foreign(path: &Path, force: bool) -> Result<()> {
    files::refuse_existing(path, force)?;
    if !path.exists() {
        return Ok(());
    }
    let entries =
        fs::read_dir(path).with_context(|| format!("{} is not a folder", path.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let own = match name.strip_prefix('.') {
            Some(half_written) => FILES.iter().any(|file| half_written.starts_with(file)),
            None => FILES.contains(&name.as_str()) || name.starts_with(EVENTS),
        };
        if !own {
            misuse!(
                "{} is not a run folder (it holds {name}): --force removes nothing else",
                path.display()
            );
        }
    }
    Ok(())
}

/// A run's configuration, logs, weights and results. Every file but the logs is written whole or not
/// at all.
pub struct RunFolder {
    path: PathBuf,
    /// Of one that writes into it.
    _lock: Option<Lock>,
}

impl RunFolder {
    /// Makes a new run folder and saves the effective configuration first of all. `force` removes
    /// a run that stands there. Nobody else may write into it for as long as this lives.
    ///
    /// # Errors
    /// When something stands at `path` and `force` is not given, or is not a run folder, or
    /// another process works in it.
    pub fn create(path: &Path, config: &Config, force: bool) -> Result<Self> {
        refuse_foreign(path, force)?;
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let run = Self { path: path.into(), _lock: None }.locked()?;
        // Another process may have made it meanwhile, and be done.
        if !force && Self::is_begun(path) {
            refuse_foreign(path, force)?;
        }
        run.renew(config)?;
        Ok(run)
    }

    /// The run for one that writes into it.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the process that works in it.
    pub(super) fn locked(self) -> Result<Self> {
        let _lock = Some(lock::take(&self.path.join(LOCK))?);
        Ok(Self { _lock, ..self })
    }

    /// Removes all that is there, and saves the effective configuration.
    pub(super) fn renew(&self, config: &Config) -> Result<()> {
        let path = &self.path;
        // First of all: what a kill leaves of the rest is then no run to be gone on with.
        remove_file(&self.config_path())?;
        let entries =
            fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            let old = entry?.path();
            let removed = match old.file_name().is_some_and(|name| name == LOCK) {
                true => Ok(()),
                false if old.is_dir() => fs::remove_dir_all(&old),
                false => fs::remove_file(&old),
            };
            removed.with_context(|| format!("cannot remove {}", old.display()))?;
        }
        files::write_file(&self.config_path(), toml::to_string(config)?)
    }

    /// The step of the latest checkpoint of the run at `path`, if it has any.
    pub fn last_checkpoint(path: &Path) -> Option<u64> {
        Checkpoints::at(path.join(CHECKPOINTS)).steps().ok()?.last().copied()
    }

    /// Whether a process works in the folder `path`.
    pub fn is_in_use(path: &Path) -> bool {
        Lock::is_held(&path.join(LOCK))
    }

    /// Who works in the run at `path`, as its lock says, which is left alone.
    pub fn holder(path: &Path) -> Option<Holder> {
        Holder::of(&path.join(LOCK))
    }

    /// Whether a run was begun at `path`.
    pub fn is_begun(path: &Path) -> bool {
        path.join(CONFIG).exists()
    }

    /// An existing run.
    ///
    /// # Errors
    /// When there is none at `path`, or one of another version's format.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.into(), _lock: None };
        if !Self::is_begun(path) {
            let path = path.display();
            bail!("{path} is not a run folder: it has no {CONFIG}; make one with `croloss train`");
        }
        info::refuse_other_format(path)?;
        Ok(run)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the effective configuration is, written when the run begins and when it is gone on with.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The effective configuration, changed by `sets` (`KEY=VALUE`); what the training monitored
    /// need not be measured any more.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the line or the key that is wrong.
    pub fn config(&self, sets: &[String]) -> Result<Config> {
        config::load_trained(&self.config_path(), sets)
    }

    /// Where the weights of the best validation are.
    pub fn weights_path(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The weights of the best validation so far.
    ///
    /// # Errors
    /// When there was none yet.
    pub fn weights(&self) -> Result<PathBuf> {
        let path = self.weights_path();
        ensure!(
            path.exists(),
            "{} has no weights yet: they come with its first validation, or where nothing is \
             measured at its end",
            self.path.display()
        );
        Ok(path)
    }

    /// Where the log is, a [`LogLine`] a line.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::at(self.path.join(CHECKPOINTS))
    }

    /// Makes it what it was when a checkpoint was taken, logs aside, under a configuration that
    /// may differ where a training may be gone on with.
    pub(super) fn go_on(&self, config: &Config, from: &About) -> Result<()> {
        let checkpoints = self.checkpoints();
        files::write_file(&self.config_path(), toml::to_string(config)?)?;
        remove_file(&self.weights_path())?;
        if let Some(best) = checkpoints.best(from) {
            files::link_or_copy(&best, &self.weights_path())?;
        }
        for name in [RANKS, DIVERGED, FAILURE] {
            remove_file(&self.path.join(name))?;
        }
        checkpoints.forget_after(from.standing.step)
    }

    /// Begins the log anew.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn create_log(&self) -> Result<LogWriter> {
        LogWriter::create(&self.log_path())
    }

    /// Goes on with the log behind the lines of step `step`, its validation among them if it is
    /// `validated`.
    ///
    /// # Errors
    /// Names the file that cannot be read or written.
    pub fn log_after(&self, step: u64, validated: bool) -> Result<LogWriter> {
        LogWriter::after(&self.log_path(), step, validated)
    }

    /// Where it says which batch's loss was no number.
    pub(super) fn diverged_path(&self) -> PathBuf {
        self.path.join(DIVERGED)
    }

    /// Says which batch's loss was no number.
    pub(super) fn write_diverged(&self, diverged: &Diverged) -> Result<()> {
        self.write_json(DIVERGED, diverged)
    }

    /// Which batch's loss was no number, if one's was.
    pub fn diverged(&self) -> Option<Diverged> {
        self.read_json(DIVERGED).ok()
    }

    /// The log as far as it is written; broken or foreign lines are left out, and without a log
    /// there are none.
    pub fn log(&self) -> Vec<LogLine> {
        log::lines(&fs::read(self.log_path()).unwrap_or_default()).collect()
    }

    /// Follows the log of the run at `path`, which may be yet to come.
    pub fn follow_log(path: &Path) -> LogTail {
        LogTail::of(path.join(LOG))
    }

    /// Says what runs here, before the first step.
    pub fn write_info(&self, info: &RunInfo) -> Result<()> {
        self.write_json(INFO, info)
    }

    /// What was said before the first step.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn info(&self) -> Result<RunInfo> {
        self.read_json(INFO)
    }

    /// Keeps the ranks of the test targets, whose items are `targets`, with what `ids` calls users
    /// and items.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write_ranks(
        &self,
        ranks: &TargetRanks,
        targets: &[Vec<u32>],
        ids: &LogIds,
    ) -> Result<()> {
        ranks.save(&self.path.join(RANKS), targets, ids)
    }

    /// The ranks of the test targets.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn ranks(&self) -> Result<TargetRanks> {
        TargetRanks::load(&self.path.join(RANKS))
    }

    /// Writes what the run came to; with this it is done.
    pub fn write_result(&self, result: &RunResult) -> Result<()> {
        let text = serde_json::to_string_pretty(result)? + "\n";
        files::write_with(&self.path.join(RESULT), |staging| {
            files::write(staging, text)?;
            files::sync(staging)
        })
    }

    /// [`RunFolder::write_result`] when all else is on the disk; then checkpoints go.
    pub(super) fn finish(&self, result: &RunResult) -> Result<()> {
        for name in [WEIGHTS, ITEMS, FEATURES, OPTIMIZER, RANKS, LOG] {
            let file = self.path.join(name);
            if file.exists() {
                files::sync(&file)?;
            }
        }
        self.write_result(result)?;
        files::sync(&self.path)?;
        self.checkpoints().clear()
    }

    /// Removes from the finished run at `path` what a kill between its result and its end has left,
    /// unless a process works there.
    ///
    /// # Errors
    /// Names what cannot be removed.
    pub fn tidy(path: &Path) -> Result<()> {
        let lock = path.join(LOCK);
        let checkpoints = Checkpoints::at(path.join(CHECKPOINTS));
        if !checkpoints.are_there() && !lock.exists() {
            return Ok(());
        }
        let alone = Lock::take(&lock, |_| true)
            .with_context(|| format!("cannot lock {}", lock.display()))?;
        match alone {
            Some(_lock) => checkpoints.clear(),
            None => Ok(()),
        }
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        files::write_file(&self.path.join(name), serde_json::to_string_pretty(value)? + "\n")
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: did the run start?", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is broken", path.display()))
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
