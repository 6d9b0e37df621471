//! How a training comes by its run folder: a new one, or one to go on with.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::checkpoint::{Checkpoint, Read, differences};
use super::run_folder::{RunFolder, refuse_foreign};
use crate::config::Config;
use crate::misuse;
use crate::ranks::Team;

/// What is asked of a training besides its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub start: Start,
    /// The run folder.
    pub out: &'a Path,
    /// The share of its steps, from 0 to 1, behind which it ends with a checkpoint: after the next
    /// validation. Without one it goes to its end.
    pub until: Option<f64>,
}

/// Where a training starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a folder that is not there yet.
    New,
    /// In place of the run that stands there, if one does.
    Anew,
    /// Where a run was cut off: at its latest checkpoint; at its first step where there is none.
    Resumed,
}

/// The folder of a run that starts, the checkpoint that it starts from, and what is to be told.
pub struct Opened {
    pub folder: RunFolder,
    pub checkpoint: Option<Checkpoint>,
    pub notes: Vec<String>,
}

impl Start {
    /// Refuses a path where a training cannot start so.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that says what stands there.
    pub fn check(self, path: &Path) -> Result<()> {
        refuse_foreign(path, self != Self::New)?;
        if self == Self::Resumed && RunFolder::has_result(path) {
            RunFolder::tidy(path)?;
            misuse!(
                "{} is finished, it has a result: there is nothing to go on with; --force in place \
                 of --resume trains it anew",
                path.display()
            );
        }
        Ok(())
    }

    /// Whether the run at `path` is gone on with from a checkpoint.
    pub fn has_checkpoint(self, path: &Path) -> bool {
        self == Self::Resumed && RunFolder::last_checkpoint(path).is_some()
    }

    /// Opens the run folder `path` for a training by `config` on the dataset of that checksum. Of ranks
    /// the first does, and the others look into it.
    ///
    /// # Errors
    /// As [`Start::check`]; [`crate::error::Misuse`] with the keys that differ where a run would be
    /// gone on with by another configuration.
    pub fn open(self, path: &Path, config: &Config, checksum: &str, team: &Team) -> Result<Opened> {
        if team.is_alone() {
            return self.open_alone(path, config, checksum, Read::Whole);
        }
        let own = team.is_first().then(|| self.open_alone(path, config, checksum, Read::InParts));
        let own = team.agree(own.transpose())?;
        let step = own.as_ref().and_then(|own| own.checkpoint.as_ref());
        let step = step.map(|own| own.about.standing.step.to_string());
        let step = team.said_by_first(&step.unwrap_or_default());
        match own {
            Some(own) => Ok(own),
            None => Opened::beside(path, step.parse().ok())
                .with_context(|| format!("{} has to be where every rank sees it", path.display())),
        }
    }

    fn open_alone(
        self,
        path: &Path,
        config: &Config,
        checksum: &str,
        read: Read,
    ) -> Result<Opened> {
        self.check(path)?;
        // One of another version's format is refused, not made anew.
        let begun = self == Self::Resumed && RunFolder::is_begun(path);
        let there = begun.then(|| RunFolder::open(path)).transpose()?;
        let Some(folder) = there else {
            let folder = RunFolder::create(path, config, self != Self::New)?;
            return Ok(Opened { folder, checkpoint: None, notes: vec![] });
        };
        let folder = folder.locked()?;
        // Another process may have been at its end.
        self.check(path)?;
        let (checkpoint, mut notes) = folder
            .checkpoints()
            .latest(read)
            .with_context(|| format!("cannot go on with {}", path.display()))?;
        let trained = match &checkpoint {
            Some(checkpoint) => checkpoint.about.config()?,
            None => untrained(&folder)?,
        };
        let differ = differences(&trained, config)?;
        if !differ.is_empty() {
            misuse!(
                "{} was trained by another configuration and cannot be gone on with by this one: {}",
                path.display(),
                differ.join(", ")
            );
        }
        match &checkpoint {
            Some(checkpoint) if checkpoint.about.checksum != checksum => misuse!(
                "{} is not the dataset that {} was trained on: their checksums differ",
                config.data.path.display(),
                path.display()
            ),
            Some(checkpoint) => folder.go_on(config, &checkpoint.about)?,
            None => {
                notes.push(format!("{} has no checkpoint: it starts again", path.display()));
                folder.renew(config)?;
            }
        }
        Ok(Opened { folder, checkpoint, notes })
    }
}

impl Opened {
    /// What the first rank has opened, for another one that reads it: from the checkpoint of `step`,
    /// if from any.
    fn beside(path: &Path, step: Option<u64>) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let checkpoint = step.map(|step| folder.checkpoints().in_parts(step)).transpose()?;
        Ok(Self { folder, checkpoint, notes: vec![] })
    }
}

/// The configuration of a run without a checkpoint, whose folder is made anew. Before run.json there
/// is nothing in it but the file that a training writes first; in other words that is somebody's own.
fn untrained(folder: &RunFolder) -> Result<Config> {
    let (path, config) = (folder.config_path(), folder.config(&[]));
    let written = config.as_ref().ok().map(toml::to_string).transpose()?;
    if folder.info().is_err() && written.as_ref() != Some(&fs::read_to_string(&path)?) {
        misuse!(
            "{} was written by no training, and would be replaced: choose another --out",
            path.display()
        );
    }
    config
}
