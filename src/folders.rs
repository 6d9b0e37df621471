//! Folders that are whole or not there at all, and of which each has one writer at a time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files::{beside, refuse_existing};
use crate::locks::Lock;
use crate::misuse;

/// A kind of folder that this program writes.
pub struct FolderKind {
    pub name: &'static str,
    /// A file that each of them has.
    pub marker: &'static str,
    /// All files that it may hold.
    pub files: &'static [&'static str],
}

impl FolderKind {
    /// A name in `folder` that is none of this kind's, or nothing where `folder` is one of the kind,
    /// whole or half written.
    fn foreign(&self, folder: &Path) -> Result<Option<String>> {
        let unreadable = || format!("{} is not a folder that can be read", folder.display());
        for entry in fs::read_dir(folder).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let half = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial"));
            let own = self.files.contains(&half.unwrap_or(&name));
            if !own || entry.file_type().with_context(unreadable)?.is_dir() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// [`refuse_existing`] for a folder: `force` replaces one of its own kind, or an empty one, and
/// nothing else, so that a mistyped path costs nobody's files.
///
/// # Errors
/// [`crate::error::Misuse`] that names what stands there.
pub fn refuse_foreign(out: &Path, force: bool, kind: &FolderKind) -> Result<()> {
    refuse_existing(out, force)?;
    if !out.exists() {
        return Ok(());
    }
    let what = match out.is_dir() {
        true => kind.foreign(out)?.map(|name| format!("it holds {name}")),
        false => Some("it is no folder".into()),
    };
    let empty = || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    let unmarked = || !out.join(kind.marker).is_file() && !empty();
    let what = what.or_else(|| unmarked().then(|| format!("it has no {}", kind.marker)));
    if let Some(what) = what {
        misuse!("{} is not {} ({what}): --force replaces nothing else", out.display(), kind.name);
    }
    Ok(())
}

/// A place where this process, and no other one, writes a folder. What was made for it besides goes
/// when it is dropped.
pub struct Claim<'a> {
    out: PathBuf,
    kind: &'a FolderKind,
    /// Until it is dropped.
    lock: Option<Lock>,
    /// Folders above `out` that were not there, the lowest first.
    above: Vec<PathBuf>,
}

impl<'a> Claim<'a> {
    /// Claims `out`, or where it is a link the folder that it leads to.
    ///
    /// # Errors
    /// Those of [`refuse_foreign`]; another process that writes there.
    pub fn new(out: &Path, force: bool, kind: &'a FolderKind) -> Result<Self> {
        refuse_foreign(out, force, kind)?;
        let linked = fs::symlink_metadata(out).is_ok();
        let real = || {
            fs::canonicalize(out)
                .with_context(|| format!("{} is a link that leads nowhere", out.display()))
        };
        let out = if linked { real()? } else { out.to_owned() };
        let all = out.ancestors().skip(1);
        let above = all.take_while(|folder| !folder.exists() && folder.file_name().is_some());
        let above: Vec<PathBuf> = above.map(Path::to_owned).collect();
        // From here on an error removes what was made.
        let mut claim = Self { out, kind, lock: None, above };
        if let Some(parent) = claim.above.first() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create the folder {}", parent.display()))?;
        }
        let path = beside(&claim.out, "lock");
        // A file system without locks: as good as it goes.
        claim.lock = Lock::take(&path, |_| true)
            .with_context(|| format!("cannot write {}", path.display()))?;
        if claim.lock.is_none() {
            misuse!(
                "{} is being written by another process: wait for it, or choose another place",
                claim.out.display()
            );
        }
        Ok(claim)
    }

    /// Writes the folder through `fill`, which gets a new empty folder beside it; that folder takes
    /// its place only when `fill` has succeeded: an error leaves what was there. (A kill between the
    /// two renames of a replacement leaves the old folder beside it as `.NAME.old`.)
    ///
    /// # Errors
    /// Those of `fill`; a disk that fails; files of others where the new folder has to stand.
    pub fn write(self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let staging = beside(&self.out, "partial");
        self.clear(&staging)?;
        fs::create_dir(&staging)
            .with_context(|| format!("cannot create the folder {}", staging.display()))?;
        let filled = fill(&staging).and_then(|()| self.take_place(&staging));
        if filled.is_err() {
            // The first error is the one to tell.
            let _ = self.clear(&staging);
        }
        filled
    }

    fn take_place(&self, staging: &Path) -> Result<()> {
        let (out, old) = (&self.out, beside(&self.out, "old"));
        self.clear(&old)?;
        // Once more: files may have come while the folder was made.
        refuse_foreign(out, true, self.kind)?;
        let replaced = out.exists();
        if replaced {
            fs::rename(out, &old).with_context(|| format!("cannot replace {}", out.display()))?;
        }
        let renamed = fs::rename(staging, out);
        if renamed.is_err() && replaced {
            fs::rename(&old, out).with_context(|| format!("cannot put {} back", out.display()))?;
        }
        renamed.with_context(|| format!("cannot write {}", out.display()))?;
        self.clear(&old)
    }

    /// Removes what a killed process of this program left behind, and nothing else.
    fn clear(&self, folder: &Path) -> Result<()> {
        if fs::symlink_metadata(folder).is_err() {
            return Ok(());
        }
        let foreign = match folder.is_dir() && !folder.is_symlink() {
            true => self.kind.foreign(folder)?.map(|name| format!(" (it holds {name})")),
            false => Some(String::new()),
        };
        if let Some(what) = foreign {
            misuse!("{} is in the way{what}: move it away", folder.display());
        }
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // Its file lies in the lowest of these folders.
        self.lock = None;
        for folder in &self.above {
            // Not empty where the folder was written.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FolderKind = FolderKind { name: "a test folder", marker: "a", files: &["a", "b"] };

    fn write(out: &Path, force: bool, content: &str) -> Result<()> {
        Claim::new(out, force, &KIND)?.write(|to| Ok(fs::write(to.join("a"), content)?))
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let names = fs::read_dir(folder).unwrap().map(name);
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn force_replaces_nothing_of_another_kind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let error = write(dir.path(), true, "new").unwrap_err().to_string();
        assert!(error.contains("not a test folder (it holds thesis.tex)"), "{error}");
        let file = dir.path().join("thesis.tex");
        assert!(write(&file, true, "new").is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "x");
        assert_eq!(names(dir.path()), ["thesis.tex"]);
        // Nor where a folder of its own kind has files of others in it.
        let out = dir.path().join("out");
        write(&out, false, "old").unwrap();
        for (foreign, folder) in [("log.csv", false), ("b", true)] {
            let path = out.join(foreign);
            let _ = if folder { fs::create_dir(&path) } else { fs::write(&path, "x") };
            let error = write(&out, true, "new").unwrap_err().to_string();
            assert!(error.contains(&format!("it holds {foreign}")), "{error}");
            assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "old");
            let _ = if folder { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_folder_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        write(&out, false, "old").unwrap();
        let failed = Claim::new(&out, true, &KIND).unwrap().write(|to| {
            fs::write(to.join("a"), "new")?;
            anyhow::bail!("disk full")
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["out"]);
        let deep = dir.path().join("x/y/out");
        drop(Claim::new(&deep, false, &KIND).unwrap());
        assert_eq!(names(dir.path()), ["out"]);
        write(&deep, false, "new").unwrap();
        assert_eq!(names(&dir.path().join("x/y")), ["out"]);
    }

    #[test]
    fn an_existing_folder_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        write(&out, false, "old").unwrap();
        assert!(write(&out, false, "new").is_err());
        let claim = Claim::new(&out, true, &KIND).unwrap();
        claim.write(|to| Ok(fs::write(to.join("b"), "new")?)).unwrap();
        assert_eq!(names(&out), ["b"]);
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let [far, link] = ["far", "link"].map(|name| dir.path().join(name));
        write(&far, false, "old").unwrap();
        std::os::unix::fs::symlink(&far, &link).unwrap();
        assert!(write(&link, false, "new").is_err());
        write(&link, true, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(far.join("a")).unwrap(), "new");
        fs::remove_dir_all(&far).unwrap();
        let error = write(&link, true, "new").unwrap_err().to_string();
        assert!(error.contains("leads nowhere"), "{error}");
    }

    #[test]
    fn a_place_has_one_writer_and_what_others_left_beside_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let first = Claim::new(&out, false, &KIND).unwrap();
        let error = Claim::new(&out, false, &KIND).err().unwrap().to_string();
        assert!(error.contains("another process"), "{error}");
        first.write(|to| Ok(fs::write(to.join("a"), "old")?)).unwrap();
        for role in ["partial", "old"] {
            let beside = beside(&out, role);
            fs::create_dir(&beside).unwrap();
            // What a killed process left is cleared away.
            fs::write(beside.join("a"), "half").unwrap();
            write(&out, true, "new").unwrap();
            assert_eq!(names(dir.path()), ["out"]);
            fs::create_dir(&beside).unwrap();
            fs::write(beside.join("diary"), "x").unwrap();
            let error = write(&out, true, "newer").unwrap_err().to_string();
            assert!(error.contains("move it away"), "{error}");
            assert_eq!(fs::read_to_string(beside.join("diary")).unwrap(), "x");
            assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "new");
            fs::remove_dir_all(beside).unwrap();
        }
        assert_eq!(names(dir.path()), ["out"]);
    }
}
