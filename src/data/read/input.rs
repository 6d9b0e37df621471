//! A source file as bytes: unpacked if it is gzipped or in an archive, hashed and counted on the way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, anyhow};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::archive::{Member, Unpacked, on_disk, refuse_whole};
use crate::files::hex;
use crate::misuse;

/// What a dataset remembers of a file that it was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub path: String,
    /// In bytes, as it lies on disk; of a member of an archive, that of the archive.
    pub size: u64,
    /// Of the file as it lies on disk, or the archive, in hexadecimal.
    pub sha256: String,
}

/// An open source file.
pub(super) struct Input {
    pub path: PathBuf,
    stream: Stream,
    consumed: Arc<AtomicU64>,
}

enum Stream {
    Plain(BufReader<Tap>),
    Gzip(Box<MultiGzDecoder<BufReader<Tap>>>),
    Member(Box<Unpacked<BufReader<Tap>>>),
}

/// Passes bytes on and notes what went by.
struct Tap {
    file: File,
    hash: Sha256,
    consumed: Arc<AtomicU64>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.consumed.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl Input {
    /// Opens a file, or a member of a zip archive; whether a file is gzipped is told by its first
    /// bytes, not by its name.
    pub fn open(path: &Path) -> Result<Input> {
        if path.is_dir() {
            misuse!("{} is a folder, not a file", path.display());
        }
        let disk = on_disk(path);
        if !disk.exists() {
            misuse!("there is no file {}", path.display());
        }
        let unreadable = || format!("cannot read {}", path.display());
        let member = (disk != path).then(|| Member::find(disk, path)).transpose()?;
        let file = File::open(disk).with_context(|| format!("cannot open {}", path.display()))?;
        let consumed = Arc::new(AtomicU64::new(0));
        let tap = Tap { file, hash: Sha256::new(), consumed: consumed.clone() };
        let mut reader = BufReader::with_capacity(1 << 18, tap);
        let stream = if let Some(member) = member {
            // Not in a leap: the hash is that of the whole archive.
            let before = &mut reader.by_ref().take(member.start);
            io::copy(before, &mut io::sink()).with_context(unreadable)?;
            Stream::Member(Box::new(member.unpack(reader)))
        } else {
            let start = reader.fill_buf().with_context(unreadable)?;
            if start.is_empty() {
                return Err(nothing_in(path));
            }
            refuse_whole(path)?;
            match start.starts_with(&[0x1f, 0x8b]) {
                true => Stream::Gzip(Box::new(MultiGzDecoder::new(reader))),
                false => Stream::Plain(reader),
            }
        };
        Ok(Input { path: path.to_owned(), stream, consumed })
    }

    pub fn is_packed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    /// Bytes read so far from disk.
    pub fn consumed(&self) -> u64 {
        self.consumed.load(Relaxed)
    }

    /// Appends up to `limit` bytes; fewer only at the end of the file.
    pub fn read_into(&mut self, buffer: &mut Vec<u8>, limit: usize) -> Result<usize> {
        let kind = match &self.stream {
            Stream::Plain(_) => None,
            Stream::Gzip(_) => Some("gzip data"),
            Stream::Member(_) => Some("data"),
        };
        let read = match &mut self.stream {
            Stream::Plain(reader) => reader.take(limit as u64).read_to_end(buffer),
            Stream::Gzip(reader) => reader.take(limit as u64).read_to_end(buffer),
            Stream::Member(reader) => reader.take(limit as u64).read_to_end(buffer),
        };
        let path = self.path.display();
        read.map_err(|error| match (error.kind(), kind) {
            (io::ErrorKind::UnexpectedEof, Some(kind)) => {
                anyhow!("{path} ends in the middle of its {kind}: it was cut off, get it again")
            }
            (io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, Some(kind)) => {
                anyhow!("{path} holds damaged {kind} ({error}): get it again")
            }
            _ => anyhow::Error::new(error).context(format!("cannot read {path}")),
        })
    }

    /// Reads what is left, so that the hash covers the whole file.
    pub fn finish(self) -> Result<SourceFile> {
        let mut tap = match self.stream {
            Stream::Plain(reader) => reader.into_inner(),
            Stream::Gzip(decoder) => decoder.into_inner().into_inner(),
            Stream::Member(member) => member.into_inner().into_inner(),
        };
        io::copy(&mut tap, &mut io::sink())
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(SourceFile {
            path: self.path.display().to_string(),
            size: tap.consumed.load(Relaxed),
            sha256: hex(&tap.hash.finalize()),
        })
    }
}

/// What is said of a file that holds no event.
pub(super) fn nothing_in(path: &Path) -> anyhow::Error {
    anyhow!("{} holds no interactions", path.display())
}
