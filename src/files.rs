//! Folders and files that are whole or not there at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::misuse;

/// Bytes in hexadecimal, as checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file's content, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
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

/// A kind of folder that this program writes, known by a file that each of them has.
pub struct FolderKind {
    pub name: &'static str,
    pub marker: &'static str,
}

/// Refuses `out` if something stands there already and `force` does not allow to replace it.
pub fn refuse_existing(out: &Path, force: bool) -> Result<()> {
    if out.exists() && !force {
        misuse!(
            "{} exists already: choose another place, or replace it with --force",
            out.display()
        );
    }
    Ok(())
}

/// [`refuse_existing`] for a folder: `force` replaces one of its own kind, or an empty one, and
/// nothing else, so that a mistyped path costs nobody's files.
pub fn refuse_foreign(out: &Path, force: bool, kind: &FolderKind) -> Result<()> {
    refuse_existing(out, force)?;
    let empty = || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.exists() && !out.join(kind.marker).is_file() && !empty() {
        misuse!(
            "{} is not {} (it has no {}): --force replaces nothing else",
            out.display(),
            kind.name,
            kind.marker
        );
    }
    Ok(())
}

/// Writes a folder through `fill`, which gets a new empty folder beside `out`; that folder takes
/// `out`'s place only when `fill` has succeeded: an error leaves `out` as it was. (A kill between
/// the two renames of a replacement leaves the old folder beside it as `.NAME.old`.)
pub fn write_folder(
    out: &Path,
    force: bool,
    kind: &FolderKind,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    refuse_foreign(out, force, kind)?;
    let staging = beside(out, "partial");
    remove_if_there(&staging)?;
    fs::create_dir_all(&staging)
        .with_context(|| format!("cannot create the folder {}", staging.display()))?;
    let filled = fill(&staging).and_then(|()| take_place(&staging, out));
    if filled.is_err() {
        remove_if_there(&staging)?;
    }
    filled
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
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file so that a reader sees either the old content or the new one.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_with(path, |staging| Ok(fs::write(staging, content)?))
}

fn take_place(staging: &Path, out: &Path) -> Result<()> {
    let old = beside(out, "old");
    remove_if_there(&old)?;
    let replaced = out.exists();
    if replaced {
        fs::rename(out, &old).with_context(|| format!("cannot replace {}", out.display()))?;
    }
    let renamed = fs::rename(staging, out);
    if renamed.is_err() && replaced {
        fs::rename(&old, out).with_context(|| format!("cannot put {} back", out.display()))?;
    }
    renamed.with_context(|| format!("cannot write {}", out.display()))?;
    remove_if_there(&old)
}

fn remove_if_there(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn beside(path: &Path, role: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{role}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FolderKind = FolderKind { name: "a test folder", marker: "a" };

    #[test]
    fn force_replaces_nothing_of_another_kind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let error = write_folder(dir.path(), true, &KIND, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("not a test folder"), "{error}");
        let file = dir.path().join("thesis.tex");
        assert!(write_folder(&file, true, &KIND, |_| Ok(())).is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
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

    #[test]
    fn a_failed_write_leaves_the_old_folder_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        write_folder(&out, false, &KIND, |to| Ok(fs::write(to.join("a"), "old")?)).unwrap();
        let failed = write_folder(&out, true, &KIND, |to| {
            fs::write(to.join("a"), "new")?;
            anyhow::bail!("disk full")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_folder_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        write_folder(&out, false, &KIND, |to| Ok(fs::write(to.join("a"), "old")?)).unwrap();
        assert!(write_folder(&out, false, &KIND, |_| Ok(())).is_err());
        write_folder(&out, true, &KIND, |to| Ok(fs::write(to.join("b"), "new")?)).unwrap();
        assert!(!out.join("a").exists() && out.join("b").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
