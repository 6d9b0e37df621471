//! What a run leaves behind while it goes on: `metrics.jsonl` and a TensorBoard event file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serializer;
use serde_json::json;

use super::tensorboard::EventFile;

/// Both logs of a run.
pub struct RunLog {
    lines: File,
    events: EventFile,
}

impl RunLog {
    /// Makes new logs in `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        let path = folder.join("metrics.jsonl");
        let lines =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { lines, events: EventFile::create(folder)? })
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
        let fixed = [("part", json!(part)), ("step", json!(step)), ("seconds", json!(seconds))];
        let measured = values.iter().map(|(name, value)| (name.as_str(), json!(value)));
        let mut line = Vec::new();
        serde_json::Serializer::new(&mut line).collect_map(fixed.into_iter().chain(measured))?;
        line.push(b'\n');
        self.lines.write_all(&line).context("cannot write metrics.jsonl")?;
        let tagged: Vec<_> =
            values.iter().map(|(name, value)| (format!("{part}/{name}"), *value)).collect();
        self.events.scalars(step, &tagged)
    }
}
