//! Who works in a run folder: `run.lock`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::misuse;

/// What a process that was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held while it lives, and by nobody once the process has ended, however it did: the system lets
/// go of it then, and a file that is left is that of nobody.
pub struct Lock {
    path: PathBuf,
    _held: File,
}

impl Lock {
    /// Takes the lock `path` for this process, whose name stands in it then.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the process which holds it.
    pub fn take(path: PathBuf) -> Result<Self> {
        let cannot = || format!("cannot lock {}", path.display());
        let asked = Instant::now();
        loop {
            let mut file = open(&path).with_context(cannot)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => {
                    sleep(PATIENCE / 20);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = fs::read_to_string(&path).unwrap_or_default();
                    let holder = match holder.trim() {
                        "" => "another process",
                        named => named,
                    };
                    let run = path.parent().unwrap_or(&path);
                    misuse!(
                        "{} is in use by {holder}: wait for its end, or stop it",
                        run.display()
                    );
                }
                // Some file systems know no locks: there a user has to keep processes apart.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
            // Whoever held it may have removed the file that was opened here.
            let own = file.metadata().with_context(cannot)?;
            if fs::metadata(&path).is_ok_and(|there| there.ino() == own.ino()) {
                file.set_len(0).with_context(cannot)?;
                writeln!(file, "process {} on {}", std::process::id(), host())
                    .with_context(cannot)?;
                return Ok(Self { path, _held: file });
            }
        }
    }

    /// Whether a process holds the lock `path`.
    pub fn is_held(path: &Path) -> bool {
        let file = File::open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "this machine".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_a_file_that_was_left_is_nobody_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.lock");
        fs::write(&path, "process 1 on a machine that was switched off in the middle of it\n")
            .unwrap();
        assert!(!Lock::is_held(&path));
        let lock = Lock::take(path.clone()).unwrap();
        assert!(Lock::is_held(&path));
        let error = Lock::take(path.clone()).err().unwrap().to_string();
        let own = format!("in use by process {} on ", std::process::id());
        assert!(error.contains(&own) && !error.contains("switched off"), "{error}");
        drop(lock);
        assert!(!path.exists());
        drop(Lock::take(path).unwrap());
    }
}
