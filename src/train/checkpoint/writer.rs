//! Writes checkpoints beside training, when they are due.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::Checkpoints;
use super::folder::Snapshot;
use crate::config::CheckpointConfig;

/// A thread at a time that writes, and when the next one is due.
pub struct Writer {
    pub checkpoints: Checkpoints,
    config: CheckpointConfig,
    /// When the latest was taken, and after which step.
    last: (Instant, u64),
    writing: Option<JoinHandle<Result<()>>>,
}

impl Writer {
    /// After step `step`, of which there is a checkpoint or nothing is lost.
    pub fn new(checkpoints: Checkpoints, config: &CheckpointConfig, step: u64) -> Self {
        Self { checkpoints, config: config.clone(), last: (Instant::now(), step), writing: None }
    }

    /// Whether a checkpoint is due after step `step`, and the one before is written.
    pub fn is_due(&self, step: u64) -> bool {
        let (time, last) = self.last;
        let Self { config, .. } = self;
        let by_time = || {
            config.minutes > 0.0 && time.elapsed() >= Duration::from_secs_f64(60.0 * config.minutes)
        };
        let by_steps = || config.steps.is_some_and(|steps| step - last >= steps);
        step > last && (by_steps() || by_time()) && !self.is_writing()
    }

    /// Whether one is being written.
    fn is_writing(&self) -> bool {
        self.writing.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Writes one on another thread.
    ///
    /// # Errors
    /// Why the one before could not be written: this one is, all the same.
    pub fn write_beside(&mut self, snapshot: Snapshot) -> Result<()> {
        let before = self.wait();
        self.last = (Instant::now(), snapshot.about.standing.step);
        let (checkpoints, kept) = (self.checkpoints.clone(), self.config.kept);
        let write = move || checkpoints.write(snapshot, kept);
        let thread = thread::Builder::new().name("checkpoint".into()).spawn(write);
        self.writing = Some(thread.context("cannot start a thread for a checkpoint")?);
        before
    }

    /// The rest where ranks have written one together.
    pub fn wrote(&mut self, step: u64) {
        self.last = (Instant::now(), step);
    }

    /// How many are kept.
    pub fn kept(&self) -> usize {
        self.config.kept
    }

    /// Writes one and waits for it.
    ///
    /// # Errors
    /// Why it could not be written.
    pub fn write_now(&self, snapshot: Snapshot) -> Result<()> {
        let written = self.checkpoints.write(snapshot, self.config.kept);
        written.context("a checkpoint could not be written")
    }

    /// Waits for the one that is being written.
    ///
    /// # Errors
    /// Why it could not be written.
    pub fn wait(&mut self) -> Result<()> {
        let Some(thread) = self.writing.take() else { return Ok(()) };
        let written = thread.join().map_err(|_| anyhow!("its thread has failed"));
        written.flatten().context("a checkpoint could not be written")
    }
}

impl Drop for Writer {
    /// A thread that is left alone would write into a run that another process may take over.
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
