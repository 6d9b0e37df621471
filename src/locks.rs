//! Files that one process at a time holds.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Held while it lives, and by nobody once the process has ended, however it did: the system lets
/// go of it then, and a file that is left is that of nobody.
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock `path`; `None` where another process holds it. On an error for which
    /// `without` says so, of a file system that knows no locks, none is held.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(path: &Path, without: impl Fn(&io::Error) -> bool) -> io::Result<Option<Self>> {
        loop {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if !without(&error) => return Err(error),
                _ => {}
            }
            // Whoever held it may have removed the file that was opened here.
            let own = file.metadata()?.ino();
            if fs::metadata(path).is_ok_and(|there| there.ino() == own) {
                return Ok(Some(Self { path: path.to_owned(), file }));
            }
        }
    }

    /// Whether a process holds the lock `path`.
    pub fn is_held(path: &Path) -> bool {
        let file = File::open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Has `holder` stand in the file.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn name(&mut self, holder: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{holder}")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The name goes before the lock does: see `take`.
        let _ = fs::remove_file(&self.path);
    }
}
