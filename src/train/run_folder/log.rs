//! A run's log, `metrics.jsonl`: its lines, how they are written, and how they are read while it grows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// What was measured on: `train`, `validation` or `test`.
    pub part: String,
    /// After this step.
    pub step: u64,
    /// Wall clock since the run began, validations included.
    pub seconds: f64,
    /// `loss`, or metrics like `recall@50`; keys of the line itself.
    #[serde(flatten, with = "named")]
    pub values: Vec<(String, f64)>,
}

impl LogLine {
    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }
}

/// Named values as the entries of a map. Written in their order; of what is read, what is no number
/// is left out.
mod named {
    use super::*;

    pub fn serialize<S: Serializer>(values: &[(String, f64)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(values.iter().map(|(name, value)| (name, value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, f64)>, D::Error> {
        let all = BTreeMap::<String, Value>::deserialize(from)?;
        Ok(all.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect())
    }
}

/// Writes a log line by line.
pub struct LogWriter {
    path: PathBuf,
    file: File,
}

impl LogWriter {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.into(), file })
    }

    /// Goes on with the log at `path` after training step `step`: the lines from the first one on
    /// that is of a later step, of the test, or broken are taken out.
    pub(super) fn after(path: &Path, step: u64) -> anyhow::Result<Self> {
        let cannot = || format!("cannot go on with {}", path.display());
        let text = fs::read(path).with_context(cannot)?;
        let stays = |line: &&[u8]| {
            let whole = line.ends_with(b"\n");
            let line = serde_json::from_slice::<LogLine>(line);
            whole && line.is_ok_and(|line| line.part != "test" && line.step <= step)
        };
        let kept = text.split_inclusive(|byte| *byte == b'\n').take_while(stays);
        let length: usize = kept.map(<[u8]>::len).sum();
        let mut file = OpenOptions::new().write(true).open(path).with_context(cannot)?;
        file.set_len(length as u64).with_context(cannot)?;
        file.seek(SeekFrom::End(0)).with_context(cannot)?;
        Ok(Self { path: path.into(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a line behind the others, in one piece.
    ///
    /// # Errors
    /// Names the log when it cannot be written.
    pub fn write(&mut self, line: &LogLine) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let written = self.file.write_all(&text);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The lines of a log's text, without those that are broken or foreign.
pub(super) fn lines(text: &str) -> Vec<LogLine> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Reads a log line by line while it is being written.
pub struct LogTail {
    path: PathBuf,
    /// Bytes that have been read.
    read: u64,
}

impl LogTail {
    /// Of a log that may be yet to come.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// The lines that are whole and were not read before. Broken or foreign ones are left out; a
    /// log that has become shorter is a new one.
    pub fn whole_lines(&mut self) -> Vec<LogLine> {
        let text = self.unread().unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        lines(&text[..whole])
    }

    fn unread(&mut self) -> Option<String> {
        let mut file = File::open(&self.path).ok()?;
        if file.metadata().ok()?.len() < self.read {
            self.read = 0;
        }
        file.seek(SeekFrom::Start(self.read)).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        Some(text)
    }
}
