//! What a run leaves behind while it goes on: `metrics.jsonl` and a TensorBoard event file.

use anyhow::Result;

use super::run_folder::{LogLine, LogWriter, RunFolder};
use super::tensorboard::EventFile;

/// Both logs of a run.
pub struct RunLog {
    lines: LogWriter,
    events: EventFile,
}

impl RunLog {
    /// The logs of `run` after step `done`: the lines of later steps, and of its own validation unless
    /// it is `validated`, are cut off; TensorBoard gets another file, in which they are void.
    pub fn after(run: &RunFolder, done: u64, validated: bool) -> Result<Self> {
        let lines = match done {
            0 => run.create_log()?,
            step => run.log_after(step, validated)?,
        };
        Ok(Self { lines, events: EventFile::create(run.path(), done)? })
    }

    /// Writes values at `step`, `seconds` after the start; `part` (`train`, `validation`, `test`)
    /// says what they were measured on.
    pub fn write(
        &mut self,
        part: &str,
        step: u64,
        seconds: f64,
        values: &[(String, f64)],
    ) -> Result<()> {
        let line = LogLine { part: part.into(), step, seconds, values: values.to_vec() };
        self.lines.write(&line)?;
        let tagged: Vec<_> =
            values.iter().map(|(name, value)| (format!("{part}/{name}"), *value)).collect();
        self.events.scalars(step, &tagged)
    }
}
