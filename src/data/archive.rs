//! Members of zip archives: `a.zip/b/c.csv` is the member `b/c.csv` of the file `a.zip`.

use std::fs::File;
use std::io::{self, BufRead, Read, Take};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::CrcReader;
use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::error::short;
use crate::misuse;

/// What a zip archive begins with.
const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// The file that holds what `path` names: itself, or the archive that the path leads into.
pub(crate) fn on_disk(path: &Path) -> &Path {
    path.ancestors().skip(1).find(|part| part.is_file() && is_archive(part)).unwrap_or(path)
}

/// Whether the file at `path` begins as a zip archive does.
fn is_archive(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == MAGIC
}

/// Refuses an archive in place of one of its members.
///
/// # Errors
/// [`crate::error::Misuse`] with what could be named.
pub(super) fn refuse_whole(path: &Path) -> Result<()> {
    if path.is_file() && is_archive(path) {
        let member = |name: &String| path.join(name).display().to_string();
        let there: Vec<String> = members(path)?.iter().map(member).collect();
        misuse!(
            "{} is a zip archive: name a file in it ({})",
            path.display(),
            short(&there.join(", "))
        );
    }
    Ok(())
}

/// The members of an archive, by name.
///
/// # Errors
/// A file that is no zip archive.
pub(super) fn members(archive: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = open(archive)?.file_names().map(str::to_owned).collect();
    names.retain(|name| !name.ends_with('/'));
    names.sort_unstable();
    Ok(names)
}

/// The path of the first member called `name`, in whatever folder of the archive.
///
/// # Errors
/// Those of [`members`].
pub(super) fn member_called(archive: &Path, name: &str) -> Result<Option<PathBuf>> {
    let called = |member: &String| member.rsplit('/').next() == Some(name);
    Ok(members(archive)?.into_iter().find(called).map(|member| archive.join(member)))
}

fn open(archive: &Path) -> Result<ZipArchive<io::BufReader<File>>> {
    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    ZipArchive::new(io::BufReader::new(file))
        .with_context(|| format!("{} is no zip archive that can be read", archive.display()))
}

/// Where a member lies in its archive, and what it unpacks to.
pub(super) struct Member {
    pub start: u64,
    packed: u64,
    size: u64,
    crc: u32,
    deflated: bool,
}

impl Member {
    /// Finds the member that `path` names in `archive`.
    ///
    /// # Errors
    /// A file that is no archive, a member that is not there, or is packed in another way than zip
    /// archives usually are.
    pub fn find(archive: &Path, path: &Path) -> Result<Member> {
        let name = path.strip_prefix(archive).unwrap_or(path).to_string_lossy();
        let mut zip = open(archive)?;
        let Some(number) = (0..zip.len())
            .find(|number| zip.by_index_raw(*number).is_ok_and(|file| file.name() == name))
        else {
            let there = short(&members(archive)?.join(", "));
            misuse!("{} has no member {name} (it holds: {there})", archive.display());
        };
        let file = zip.by_index(number).with_context(|| format!("cannot unpack {name}"))?;
        let deflated = match file.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => misuse!("{}: it is packed by {other}: unpack it first", path.display()),
        };
        let (start, packed) = (file.data_start(), file.compressed_size());
        Ok(Member { start, packed, size: file.size(), crc: file.crc32(), deflated })
    }

    /// The content, from a reader of the archive that stands at [`Member::start`].
    pub fn unpack<R: BufRead>(&self, archive: R) -> Unpacked<R> {
        let packed = archive.take(self.packed);
        let content = match self.deflated {
            true => Content::Deflated(Box::new(DeflateDecoder::new(packed))),
            false => Content::Stored(packed),
        };
        Unpacked { content: CrcReader::new(content), size: self.size, crc: self.crc, read: 0 }
    }
}

/// The content of a member; an error at its end if it is not what was packed.
pub(super) struct Unpacked<R> {
    content: CrcReader<Content<R>>,
    size: u64,
    crc: u32,
    read: u64,
}

enum Content<R> {
    Stored(Take<R>),
    Deflated(Box<DeflateDecoder<Take<R>>>),
}

impl<R> Unpacked<R> {
    pub fn into_inner(self) -> R {
        match self.content.into_inner() {
            Content::Stored(packed) => packed.into_inner(),
            Content::Deflated(decoder) => decoder.into_inner().into_inner(),
        }
    }
}

impl<R: BufRead> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Stored(packed) => packed.read(buffer),
            Content::Deflated(decoder) => decoder.read(buffer),
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.read += count as u64;
        let ended = count == 0 && !buffer.is_empty();
        if ended && (self.read != self.size || self.content.crc().sum() != self.crc) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is another one"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use sha2::{Digest, Sha256};
    use zip::ZipWriter;
    use zip::write::FileOptions;

    use super::*;
    use crate::data::{Log, Source};
    use crate::files::hex;

    const LOG: &str = "user,item,time\nu,a,1\nu,b,2\nv,a,3\n";

    /// An archive with that log twice, deflated and as it stands, among other members.
    fn archive(dir: &Path) -> PathBuf {
        let path = dir.join("logs.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.add_directory("in/", FileOptions::default()).unwrap();
        let methods = [CompressionMethod::Deflated, CompressionMethod::Stored];
        for (name, method) in ["in/packed.csv", "in/stored.csv"].into_iter().zip(methods) {
            zip.start_file(format!("{name}.txt"), FileOptions::default()).unwrap();
            zip.write_all(b"x,y").unwrap();
            zip.start_file(name, FileOptions::default().compression_method(method)).unwrap();
            zip.write_all(LOG.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn read(path: PathBuf) -> Result<Log> {
        let name = |name: &str| Some(name.to_owned());
        let (user, item, time) = (name("user"), name("item"), name("time"));
        let mut seen = 0;
        let source = Source { files: vec![path], user, item, time, ..Source::default() };
        let log = source.read(&mut |bytes| seen = bytes)?;
        assert_eq!(seen, source.size().unwrap());
        Ok(log)
    }

    #[test]
    fn members_are_read_in_their_archive_and_its_checksum_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let zip = archive(dir.path());
        let plain = dir.path().join("plain.csv");
        fs::write(&plain, LOG).unwrap();
        let expected = read(plain).unwrap().interactions;
        let bytes = fs::read(&zip).unwrap();
        for member in ["in/packed.csv", "in/stored.csv"] {
            let log = read(zip.join(member)).unwrap();
            assert_eq!(log.interactions, expected);
            let [file] = &log.files[..] else { panic!("{:?}", log.files) };
            assert_eq!(file.path, zip.join(member).display().to_string());
            assert_eq!(file.size, bytes.len() as u64);
            assert_eq!(file.sha256, hex(&Sha256::digest(&bytes)));
        }
        assert_eq!(member_called(&zip, "stored.csv").unwrap(), Some(zip.join("in/stored.csv")));
        assert_eq!(member_called(&zip, "in").unwrap(), None);
        assert_eq!(on_disk(&zip.join("in/packed.csv")), zip);
        assert_eq!(on_disk(&dir.path().join("no.zip/x")), dir.path().join("no.zip/x"));
    }

    #[test]
    fn what_is_wrong_with_an_archive_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let zip = archive(dir.path());
        let said = |path: PathBuf| format!("{:#}", read(path).unwrap_err());
        let error = said(zip.join("in/other.csv"));
        assert!(
            error.contains("logs.zip has no member in/other.csv (it holds: in/packed.csv, in/")
        );
        let error = said(zip.clone());
        assert!(error.contains("logs.zip is a zip archive: name a file in it"), "{error}");
        assert!(error.contains("logs.zip/in/packed.csv"), "{error}");
        let text = dir.path().join("text.csv");
        fs::write(&text, LOG).unwrap();
        let error = said(text.join("x.csv"));
        assert!(
            error.starts_with("there is no file") && error.ends_with("text.csv/x.csv"),
            "{error}"
        );
        // A byte of each member's content is changed.
        let bytes = fs::read(&zip).unwrap();
        for member in ["in/packed.csv", "in/stored.csv"] {
            let start = Member::find(&zip, &zip.join(member)).unwrap().start as usize;
            let mut damaged = bytes.clone();
            damaged[start + 20] ^= 1;
            let path = dir.path().join("damaged.zip");
            fs::write(&path, damaged).unwrap();
            let error = said(path.join(member));
            assert!(error.contains("holds damaged data"), "{error}");
        }
    }
}
