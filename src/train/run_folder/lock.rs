//! Who works in a run folder: `run.lock`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::locks::Lock;
use crate::misuse;
use crate::reading;

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

/// Who works in a run, as its lock says. The lock itself is left alone: one who tries it may keep
/// away a process that wants it at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of its process, where that is one of this machine.
    process: Option<i32>,
}

impl Holder {
    /// That of the lock `path`, if there is any.
    pub fn of(path: &Path) -> Option<Self> {
        let named = reading::text(path).ok()?;
        let own = named.trim().strip_prefix("process ").and_then(|rest| rest.split_once(" on "));
        let here = own.filter(|(_, host)| *host == self::host());
        Some(Self { process: here.and_then(|(id, _)| id.parse().ok()).filter(|id| *id > 0) })
    }

    /// Whether it still does: what a process that was killed leaves names it all the same. Of
    /// another machine there is no more to know than that its lock is there.
    pub fn is_alive(&self) -> bool {
        let Some(process) = self.process else { return true };
        // SAFETY: signal 0 is sent to nobody; it only asks whether there is such a process.
        let there = unsafe { libc::kill(process, 0) } == 0;
        there || std::io::Error::last_os_error().kind() == ErrorKind::PermissionDenied
    }
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

    #[test]
    fn a_holder_is_told_without_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.lock");
        assert_eq!(Holder::of(&path), None);
        let lock = take(&path).unwrap();
        let own = Holder::of(&path).unwrap();
        assert_eq!(own.process, Some(std::process::id() as i32));
        assert!(own.is_alive());
        drop(lock);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        fs::write(&path, format!("process {} on {}\n", child.id(), host())).unwrap();
        let ended = Holder::of(&path).unwrap();
        child.wait().unwrap();
        assert!(!ended.is_alive());
        // One that has just been taken, and one of another machine.
        for text in ["", "process 1 on a machine of that name, far away\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(Holder::of(&path), Some(Holder { process: None }));
        }
        assert!(Holder { process: None }.is_alive());
    }
}
