//! The folder that a run's checkpoints are in, each whole or not there at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::Tensor;

use super::parts::all_parts;
use super::{About, BEST, Checkpoint, is_finite};
use crate::files;
use crate::optim::State;
use crate::{reading, tensor_file};

const ABOUT: &str = "checkpoint.json";
const STATE: &str = "state.safetensors";

/// How the tensors of a checkpoint are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// All of them, at once, where one process has written them.
    Whole,
    /// Each rank's, when they are wanted.
    InParts,
}

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    path: PathBuf,
}

/// A checkpoint that is not yet written: a copy of everything, in memory.
pub struct Snapshot {
    pub about: About,
    pub tensors: State,
    /// The log, to be brought to the disk with it.
    pub log: PathBuf,
    staging: Staging,
}

/// Where a checkpoint is written before it takes its name. If it comes to nothing it goes: it takes
/// the room that the run needs to be finished.
pub(super) struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Checkpoints {
    /// In the folder `path`, which need not be there.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Takes hold of the best weights so far, which the training may replace while a checkpoint is
    /// written.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn begin(
        &self,
        about: About,
        tensors: State,
        log: PathBuf,
        best: Option<&Path>,
    ) -> Result<Snapshot> {
        let staging = self.stage(about.standing.step, best)?;
        Ok(Snapshot { about, tensors, log, staging })
    }

    /// A folder for the checkpoint of `step`, with the best weights so far in it.
    pub(super) fn stage(&self, step: u64, best: Option<&Path>) -> Result<Staging> {
        self.sweep()?;
        let staging = Staging(self.staged(step));
        let folder = &staging.0;
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        if let Some(best) = best {
            files::link_or_copy(best, &folder.join(BEST))?;
        }
        Ok(staging)
    }

    /// Where the checkpoint of `step` is before it takes its name.
    pub(super) fn staged(&self, step: u64) -> PathBuf {
        self.path.join(format!(".{}", name(step)))
    }

    /// Writes a checkpoint, and removes all but the latest `kept`. When this returns it is on the
    /// disk.
    ///
    /// # Errors
    /// When weights are no numbers: the checkpoints before stay. Names the file that cannot be
    /// written.
    pub fn write(&self, snapshot: Snapshot, kept: usize) -> Result<()> {
        let Snapshot { mut about, tensors, log, staging } = snapshot;
        let (folder, step) = (&staging.0, about.standing.step);
        ensure!(is_finite(&tensors), "weights are no numbers at step {step}: it is not kept");
        let file = folder.join(STATE);
        tensor_file::write(&file, &tensors)?;
        drop(tensors);
        files::sync(&file)?;
        about.files.insert(STATE.into(), files::sha256(&file)?);
        self.seal(about, &log, staging, kept)
    }

    /// Gives a checkpoint its name when what it holds of the state is on the disk, and in `about`.
    pub(super) fn seal(
        &self,
        mut about: About,
        log: &Path,
        staging: Staging,
        kept: usize,
    ) -> Result<()> {
        let (folder, step) = (&staging.0, about.standing.step);
        let best = folder.join(BEST);
        if best.exists() {
            files::sync(&best)?;
            about.files.insert(BEST.into(), files::sha256(&best)?);
        }
        files::sync(log)?;
        let file = folder.join(ABOUT);
        files::write(&file, serde_json::to_string_pretty(&about)? + "\n")?;
        files::sync(&file)?;
        files::sync(folder)?;
        let place = self.path.join(name(step));
        self.remove(&place)?;
        fs::rename(folder, &place).with_context(|| format!("cannot write {}", place.display()))?;
        files::sync(&self.path)?;
        let steps = self.steps()?;
        let old = &steps[..steps.len().saturating_sub(kept)];
        old.iter().try_for_each(|step| self.remove(&self.path.join(name(*step))))
    }

    /// The latest checkpoint that is whole, if there is any, and what is wrong with later ones.
    ///
    /// # Errors
    /// When there are some, but none is whole.
    pub fn latest(&self, read: Read) -> Result<(Option<Checkpoint>, Vec<String>)> {
        let mut wrong = vec![];
        for step in self.steps()?.into_iter().rev() {
            match self.read(step, read) {
                Ok(checkpoint) => return Ok((Some(checkpoint), wrong)),
                Err(error) => {
                    wrong.push(format!("the checkpoint of step {step} is passed over: {error:#}"));
                }
            }
        }
        if !wrong.is_empty() {
            bail!(
                "{}; no other is whole; --force in place of --resume trains the run anew",
                wrong.join("; ")
            );
        }
        Ok((None, wrong))
    }

    /// The best weights so far of a checkpoint, if there are any.
    pub fn best(&self, about: &About) -> Option<PathBuf> {
        let file = self.path.join(name(about.standing.step)).join(BEST);
        about.files.contains_key(BEST).then_some(file)
    }

    /// Removes what is of later steps than `step`, and what a kill has left.
    ///
    /// # Errors
    /// Names what cannot be removed.
    pub fn forget_after(&self, step: u64) -> Result<()> {
        let later = self.steps()?.into_iter().filter(|own| *own > step);
        later.into_iter().try_for_each(|step| self.remove(&self.path.join(name(step))))?;
        self.sweep()
    }

    /// Whether there is anything of them, removed in part perhaps.
    pub fn are_there(&self) -> bool {
        self.path.exists() || going(&self.path).exists()
    }

    /// Removes all of them, and what a kill has left of an earlier removal.
    ///
    /// # Errors
    /// Names what cannot be removed.
    pub fn clear(&self) -> Result<()> {
        self.remove(&self.path)
    }

    /// The steps of the checkpoints, ascending.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps = vec![];
        if self.path.is_dir() {
            for entry in self.entries()? {
                let name = entry?.file_name();
                let step = |name: &str| name.strip_prefix("step-")?.parse::<u64>().ok();
                steps.extend(name.to_str().and_then(step));
            }
        }
        steps.sort_unstable();
        Ok(steps)
    }

    fn read(&self, step: u64, read: Read) -> Result<Checkpoint> {
        let mut checkpoint = self.in_parts(step)?;
        let folder = self.path.join(name(step));
        let broken = |name: &str| format!("{} is broken", folder.join(name).display());
        for (name, checksum) in &checkpoint.about.files {
            ensure!(files::sha256(&folder.join(name))? == *checksum, broken(name));
        }
        if read == Read::Whole && checkpoint.about.files.contains_key(STATE) {
            checkpoint.parts.clear();
            checkpoint.tensors =
                Tensor::read_safetensors(folder.join(STATE)).with_context(|| broken(STATE))?;
        }
        Ok(checkpoint)
    }

    /// The checkpoint of `step`, of whose tensors nothing is read yet, nor looked after.
    ///
    /// # Errors
    /// When it is broken.
    pub fn in_parts(&self, step: u64) -> Result<Checkpoint> {
        let folder = self.path.join(name(step));
        let text = reading::text(&folder.join(ABOUT))?;
        let broken = || format!("{} is broken", folder.join(ABOUT).display());
        let about = About::parse(&text).with_context(broken)?;
        let parts = match about.files.contains_key(STATE) {
            true => Some(vec![STATE.to_owned()]),
            false => all_parts(&about.files),
        };
        let parts = parts.with_context(broken)?;
        // It may come from anywhere, and name what is anywhere.
        let known = |name: &String| name == BEST || parts.contains(name);
        ensure!(about.files.keys().all(known), broken());
        let parts = parts.iter().map(|name| folder.join(name)).collect();
        Ok(Checkpoint { about, tensors: vec![], parts })
    }

    /// Removes what is written or removed only in part.
    fn sweep(&self) -> Result<()> {
        if !self.path.is_dir() {
            return Ok(());
        }
        for entry in self.entries()? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Removes a folder so that a kill does not leave half of it under its name.
    fn remove(&self, folder: &Path) -> Result<()> {
        let gone = going(folder);
        if gone.exists() {
            remove_folder(&gone)?;
        }
        match fs::rename(folder, &gone) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => {
                renamed.with_context(|| format!("cannot remove {}", folder.display()))?;
                remove_folder(&gone)
            }
        }
    }

    fn entries(&self) -> Result<fs::ReadDir> {
        fs::read_dir(&self.path).with_context(|| format!("cannot list {}", self.path.display()))
    }
}

/// The name of a folder while it is removed.
fn going(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.old"))
}

fn remove_folder(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

fn name(step: u64) -> String {
    format!("step-{step:013}")
}
