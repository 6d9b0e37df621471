//! Folders and files that are whole or not there at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::misuse;

/// Refuses `out` if something stands there already and `force` does not allow to replace it.
pub fn refuse_existing(out: &Path, force: bool) -> Result<()> {
    if out.exists() && !force {
        misuse!(
            "{} exists already: choose another folder, or replace it with --force",
            out.display()
        );
    }
    Ok(())
}

/// Writes a folder through `fill`, which gets a new empty folder beside `out`; that folder takes
/// `out`'s place only when `fill` has succeeded, so that an error or a kill leaves `out` as it was.
pub fn write_folder(out: &Path, force: bool, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    refuse_existing(out, force)?;
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

/// Writes a file so that a reader sees either the old content or the new one.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let staging = beside(path, "partial");
    fs::write(&staging, content)
        .and_then(|()| fs::rename(&staging, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn take_place(staging: &Path, out: &Path) -> Result<()> {
    let old = beside(out, "old");
    remove_if_there(&old)?;
    if out.exists() {
        fs::rename(out, &old).with_context(|| format!("cannot replace {}", out.display()))?;
    }
    fs::rename(staging, out).with_context(|| format!("cannot write {}", out.display()))?;
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

    #[test]
    fn a_failed_write_leaves_the_old_folder_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        write_folder(&out, false, |to| Ok(fs::write(to.join("a"), "old")?)).unwrap();
        let failed = write_folder(&out, true, |to| {
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
        write_folder(&out, false, |to| Ok(fs::write(to.join("a"), "old")?)).unwrap();
        assert!(write_folder(&out, false, |_| Ok(())).is_err());
        write_folder(&out, true, |to| Ok(fs::write(to.join("b"), "new")?)).unwrap();
        assert!(!out.join("a").exists() && out.join("b").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
