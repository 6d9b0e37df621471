//! Who works in a run folder: `run.lock`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::locks::Lock;
use crate::misuse;

/// What a process that was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the lock `path` for this process, whose name stands in it then.
///
/// # Errors
/// [`crate::error::Misuse`] that names the process which holds it.
pub fn take(path: &Path) -> Result<Lock> {
    let cannot = || format!("cannot lock {}", path.display());
    // Some file systems know no locks: there a user has to keep processes apart.
    let lock = || Lock::take(path, |error| error.kind() == ErrorKind::Unsupported);
    let asked = Instant::now();
    loop {
        if let Some(mut lock) = lock().with_context(cannot)? {
            lock.name(&format!("process {} on {}", std::process::id(), host()))
                .with_context(cannot)?;
            return Ok(lock);
        }
        if asked.elapsed() >= PATIENCE {
            break;
        }
        sleep(PATIENCE / 20);
    }
    let holder = fs::read_to_string(path).unwrap_or_default();
    let holder = match holder.trim() {
        "" => "another process",
        named => named,
    };
    let run = path.parent().unwrap_or(path);
    misuse!("{} is in use by {holder}: wait for its end, or stop it", run.display())
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
        let lock = take(&path).unwrap();
        assert!(Lock::is_held(&path));
        let error = take(&path).err().unwrap().to_string();
        let own = format!("in use by process {} on ", std::process::id());
        assert!(error.contains(&own) && !error.contains("switched off"), "{error}");
        drop(lock);
        assert!(!path.exists());
        drop(take(&path).unwrap());
    }
}
