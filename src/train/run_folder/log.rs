//! A run's log, `metrics.jsonl`: its lines, how they are written, and how they are read while it grows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::reading;

/// Bytes of a log that are read at once.
const PIECE: u64 = 1 << 20;

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

    /// Goes on with the log at `path` after training step `step`, whose validation is behind it or
    /// not: the lines from the first one on that is of what is yet to come, or broken, are taken out.
    pub(super) fn after(path: &Path, step: u64, validated: bool) -> anyhow::Result<Self> {
        let cannot = || format!("cannot go on with {}", path.display());
        let text = fs::read(path).with_context(cannot)?;
        let stays = |line: &&[u8]| {
            let whole = line.ends_with(b"\n");
            let is_past = |line: LogLine| match line.part.as_str() {
                "test" => false,
                "validation" if !validated => line.step < step,
                _ => line.step <= step,
            };
            whole && serde_json::from_slice(line).is_ok_and(is_past)
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
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = LogLine> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Reads a log line by line while it is being written.
pub struct LogTail {
    path: PathBuf,
    /// Bytes that have been read, up to the end of a line.
    read: u64,
    /// How long it was when it had been read to its end.
    seen: u64,
}

impl LogTail {
    /// Of a log that may be yet to come.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, read: 0, seen: 0 }
    }

    /// The lines that are whole and were not read before. Broken or foreign ones are left out; a
    /// log that has become shorter is a new one.
    pub fn whole_lines(&mut self) -> Vec<LogLine> {
        let mut all = vec![];
        self.each_line(|line| all.push(line));
        all
    }

    /// [`LogTail::whole_lines`], one by one: a long log is never in memory as a whole, and one that
    /// has not grown is not opened.
    pub fn each_line(&mut self, mut take: impl FnMut(LogLine)) {
        while let Some(piece) = self.piece() {
            lines(&piece).for_each(&mut take);
        }
    }

    /// The next whole lines, at most [`PIECE`] bytes of them; `None` at the end.
    fn piece(&mut self) -> Option<Vec<u8>> {
        let length = fs::metadata(&self.path).ok()?.len();
        if length < self.read {
            self.read = 0;
        }
        if length == self.seen {
            return None;
        }
        let mut file = reading::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.read)).ok()?;
        let mut piece = vec![];
        let read = file.take(PIECE).read_to_end(&mut piece).ok()? as u64;
        if read < PIECE {
            self.seen = self.read + read;
        }
        let whole = match piece.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            // Nothing that is written here is as long.
            None if read == PIECE => piece.len(),
            None => 0,
        };
        piece.truncate(whole);
        self.read += whole as u64;
        Some(piece)
    }
}
