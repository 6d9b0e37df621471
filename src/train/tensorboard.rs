//! TensorBoard event files: TFRecords of `tensorflow.Event` messages with scalar summaries.
//!
//! Field numbers are those of TensorFlow's `event.proto` and `summary.proto`; the record format is
//! length, masked CRC-32C of the length, message, masked CRC-32C of the message.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session: Option<Session>,
}

#[derive(Clone, PartialEq, Message)]
struct Session {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// A session's status: from here on what other files say of this step and later ones is void.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes one event file.
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// Makes a new event file in `folder`, of what comes after step `done`.
    pub fn create(folder: &Path, done: u64) -> Result<Self> {
        let now = seconds();
        let (path, file) = new_file(folder, now as u64)?;
        let mut events = Self { path, file: BufWriter::new(file) };
        events.write(&Event {
            wall_time: now,
            file_version: Some("brain.Event:2".into()),
            ..Default::default()
        })?;
        if done > 0 {
            events.write(&Event {
                wall_time: now,
                step: done as i64 + 1,
                session: Some(Session { status: START }),
                ..Default::default()
            })?;
        }
        Ok(events)
    }

    /// Writes named values at a training step.
    pub fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let value = |(tag, value): &(String, f64)| Value {
            tag: tag.clone(),
            simple_value: Some(*value as f32),
        };
        self.write(&Event {
            wall_time: seconds(),
            step: step as i64,
            summary: Some(Summary { value: values.iter().map(value).collect() }),
            ..Default::default()
        })?;
        let flushed = self.file.flush();
        flushed.with_context(|| self.cannot())
    }

    fn cannot(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let message = event.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        for part in [&length[..], &masked_crc(&length), &message, &masked_crc(&message)] {
            self.file.write_all(part).with_context(|| self.cannot())?;
        }
        Ok(())
    }
}

/// A file of its own: two parts of a training may begin in one second.
fn new_file(folder: &Path, second: u64) -> Result<(PathBuf, File)> {
    let path = folder.join(format!("events.out.tfevents.{second}.croloss"));
    match File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => new_file(folder, second + 1),
        made => {
            let file = made.with_context(|| format!("cannot write {}", path.display()))?;
            Ok((path, file))
        }
    }
}

/// The CRC as TFRecords store it, so that a checksum of data that holds checksums stays strong.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C bit by bit, by its polynomial.
    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            }
        }
        !crc
    }

    fn masked(bytes: &[u8]) -> u32 {
        let crc = crc(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    }

    #[test]
    fn records_have_the_published_framing_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(dir.path(), 0).unwrap();
        events.scalars(300, &[("train/loss".into(), 0.5)]).unwrap();
        let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut messages = vec![];
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(12);
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            assert_eq!(head[8..], masked(&head[..8]).to_le_bytes());
            assert_eq!(tail[length..length + 4], masked(&tail[..length]).to_le_bytes());
            messages.push(&tail[..length]);
            rest = &tail[length + 4..];
        }
        assert_eq!(messages.len(), 2);
        // After tag 1 (a double): field 3, length 13.
        assert_eq!(messages[0][9..], *b"\x1a\x0dbrain.Event:2");
        // Field 2: 300 as a varint; field 5: a summary with one value of a tag and a float.
        assert_eq!(
            messages[1][9..],
            *b"\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\0\0\0\x3f"
        );
        // Another part after step 299 has a file of its own: field 7, a session that starts.
        EventFile::create(dir.path(), 299).unwrap();
        let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        let mut ends = files.map(|path| std::fs::read(path).unwrap()).map(|bytes| {
            let end = bytes.len() - 4;
            bytes[end - 7..end].to_vec()
        });
        assert!(ends.any(|end| end == *b"\x10\xac\x02\x3a\x02\x08\x01"));
    }
}
