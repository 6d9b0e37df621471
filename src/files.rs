//! Files that are whole or not there at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::misuse;
use crate::reading;

/// Bytes in hexadecimal, as checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of an ordinary file's content, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    checksum::<Sha256>(path)
}

/// The MD5 of an ordinary file's content, in hexadecimal: what publishers of data give.
pub fn md5(path: &Path) -> Result<String> {
    checksum::<Md5>(path)
}

fn checksum<D: Digest>(path: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = reading::open(path)?;
    let (mut hash, mut piece) = (D::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(read) => hash.update(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(cannot),
        }
    }
}

/// Waits until a file's content, or which files a folder holds, is on the disk.
pub fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.with_context(|| format!("cannot bring {} to the disk", path.display()))
}

/// Gives a file's content a second name, where the file system can without a copy. The new name
/// keeps it when the old one is written anew by [`write_with`].
pub fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let placed = fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    placed.with_context(|| format!("cannot write {}", to.display()))
}

/// Gives a file a new name in the same folder; `false`, and nothing is changed, where something has
/// that name.
///
/// # Errors
/// What the system says.
pub fn rename_to_new(from: &Path, to: &Path) -> io::Result<bool> {
    // Unlike a rename, a second name takes the place of nothing that has come meanwhile.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // A file system where a file has one name only.
        Err(_) if fs::symlink_metadata(to).is_err() => fs::rename(from, to).map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Refuses `out` if something stands there already and `force` does not allow to replace it.
pub fn refuse_existing(out: &Path, force: bool) -> Result<()> {
    if fs::symlink_metadata(out).is_ok() && !force {
        misuse!(
            "{} exists already: choose another place, or replace it with --force",
            out.display()
        );
    }
    Ok(())
}

/// Makes the folder that a new file is to stand in, if it is not there.
pub fn make_folder_of(out: &Path) -> Result<()> {
    match out.parent().filter(|folder| !folder.is_dir()) {
        Some(folder) => fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display())),
        None => Ok(()),
    }
}

/// Writes a file through `fill`, which gets the path of a new file beside it; a reader sees either
/// the old content or the whole new one.
pub fn write_with(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let staging = beside(path, "partial");
    let written = fill(&staging).and_then(|()| Ok(fs::rename(&staging, path)?));
    if written.is_err() {
        // What made it fail may forbid this as well; the first error is the one to tell.
        let _ = fs::remove_file(&staging);
    }
    written.with_context(|| cannot_write(path))
}

/// A new file, and [`Why`] it could not be written: writers of Parquet tell that in other words.
pub struct Sink {
    file: BufWriter<File>,
    why: Why,
}

/// The first error of a file that is written.
#[derive(Clone)]
pub struct Why {
    path: PathBuf,
    error: Arc<OnceLock<i32>>,
}

impl Sink {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// Names it where it cannot be written.
    pub fn create(path: &Path) -> Result<(Self, Why)> {
        let file = File::create(path).with_context(|| cannot_write(path))?;
        let why = Why { path: path.into(), error: Arc::default() };
        Ok((Self { file: BufWriter::new(file), why: why.clone() }, why))
    }
}

impl Why {
    /// What the system said and of which file, in place of `error`.
    pub fn of(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let own = self.error.get().map(|own| io::Error::from_raw_os_error(*own).into());
        own.unwrap_or_else(|| error.into()).context(cannot_write(&self.path))
    }

    fn keep<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| {
            if let Some(own) = error.raw_os_error() {
                self.error.get_or_init(|| own);
            }
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.why.keep(self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.why.keep(self.file.flush())
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Writes a file of a folder that takes its own name when it is whole.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| cannot_write(path))
}

/// Writes a file so that a reader sees either the old content or the new one.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_with(path, |staging| Ok(fs::write(staging, content)?))
}

/// By what one sees that a file was written anew, or that others stand in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// That of `path`; `None` where there is nothing.
    pub fn of(path: &Path) -> Option<Self> {
        let there = fs::metadata(path).ok()?;
        let modified = there.modified().ok()?;
        Some(Self { modified, length: there.len(), inode: there.ino() })
    }

    /// Whether what is written now may get the same stamp: clocks of file systems are coarse.
    pub fn is_fresh(&self) -> bool {
        self.modified.elapsed().map_or(true, |age| age < Duration::from_secs(2))
    }
}

/// The path of what stands beside `path` while it is written, or replaced.
pub fn beside(path: &Path, role: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{role}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn of_two_that_want_a_name_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let together = Barrier::new(2);
        for round in 0..2000 {
            fs::write(&from, "moved").unwrap();
            let (moved, made) = std::thread::scope(|scope| {
                let moving = scope.spawn(|| {
                    together.wait();
                    rename_to_new(&from, &to).unwrap()
                });
                together.wait();
                // At ever other moments of what the other one does.
                (0..round).for_each(|_| std::hint::spin_loop());
                let made = File::create_new(&to).is_ok();
                (moving.join().unwrap(), made)
            });
            assert_ne!(moved, made, "in round {round}");
            assert_eq!(fs::read_to_string(&to).unwrap(), if moved { "moved" } else { "" });
            assert_eq!(from.exists(), !moved);
            fs::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn a_file_that_could_not_be_written_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_file(&path, "old").unwrap();
        let failed = write_with(&path, |staging| {
            fs::write(staging, "half")?;
            anyhow::bail!("disk full")
        });
        assert!(format!("{:#}", failed.unwrap_err()).contains("disk full"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
