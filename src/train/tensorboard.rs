//! TensorBoard event files: TFRecords of `tensorflow.Event` messages with scalar summaries.
//!
//! Field numbers are those of TensorFlow's `event.proto` and `summary.proto`; the record format is
//! length, masked CRC-32C of the length, message, masked CRC-32C of the message.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
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
}

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
    file: BufWriter<File>,
}

impl EventFile {
    /// Makes a new event file in `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        let now = seconds();
        let path = folder.join(format!("events.out.tfevents.{}.croloss", now as u64));
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut events = Self { file: BufWriter::new(file) };
        events.write(&Event {
            wall_time: now,
            file_version: Some("brain.Event:2".into()),
            ..Default::default()
        })?;
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
        Ok(self.file.flush()?)
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let message = event.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        for part in [&length[..], &masked_crc(&length), &message, &masked_crc(&message)] {
            self.file.write_all(part).context("cannot write the TensorBoard event file")?;
        }
        Ok(())
    }
}

/// The CRC as TFRecords store it, so that a checksum of data that holds checksums stays strong.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
