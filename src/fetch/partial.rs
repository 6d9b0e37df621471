//! A file that has come in part, and what is remembered of where it comes from.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::remote::Asked;
use crate::files::{self, beside};
use crate::{misuse, reading};

/// `.NAME.partial`, open at its end, and beside it `.NAME.partial-from`.
pub(super) struct Partial {
    path: PathBuf,
    memory: PathBuf,
    file: File,
    len: u64,
    url: String,
    /// Nothing where its server gives no sign by which the same file can be told.
    begun: Option<Begun>,
}

/// What has to be the same for the rest to fit.
#[derive(Serialize, Deserialize)]
struct Begun {
    url: String,
    /// The server's `ETag` or `Last-Modified`.
    validator: String,
    total: Option<u64>,
}

impl Partial {
    /// What has come of `path` so far; nothing of what came from elsewhere.
    pub fn open(path: &Path, url: &str) -> Result<Self> {
        let (path, memory) = (beside(path, "partial"), beside(path, "partial-from"));
        let cannot = || format!("cannot write {}", path.display());
        let file = open_at_end(&path).with_context(cannot)?;
        let len = file.metadata().with_context(cannot)?.len();
        // Memory that cannot be read is as good as none.
        let text = memory.is_file().then(|| reading::text(&memory).ok()).flatten();
        let begun = text.and_then(|text| serde_json::from_str::<Begun>(&text).ok());
        let begun = begun.filter(|begun| begun.url == url);
        let mut partial = Self { path, memory, file, len, url: url.to_owned(), begun };
        if partial.begun.is_none() {
            partial.restart(None, None)?;
        }
        Ok(partial)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether all has come that its server has told of.
    pub fn is_whole(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.total == Some(self.len))
    }

    /// The rest, if there is anything that it can be the rest of.
    pub fn resumable(&self) -> Option<Asked<'_>> {
        let Begun { validator, total, .. } = self.begun.as_ref().filter(|_| self.len > 0)?;
        Some(Asked { from: self.len, validator, total: *total })
    }

    /// Begins anew with a file that its server tells by `validator`.
    pub fn restart(&mut self, validator: Option<String>, total: Option<u64>) -> Result<()> {
        // Not emptied: where giving it its name was cut off, that is another name of the same file.
        fs::remove_file(&self.path).with_context(|| self.cannot())?;
        self.file = open_at_end(&self.path).with_context(|| self.cannot())?;
        self.len = 0;
        self.begun = validator.map(|validator| Begun { url: self.url.clone(), validator, total });
        match &self.begun {
            Some(begun) => files::write_file(&self.memory, serde_json::to_string(begun)?),
            None => self.forget(),
        }
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).with_context(|| self.cannot())?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives the whole file its name.
    pub fn finish(self, path: &Path) -> Result<()> {
        self.file.sync_all().with_context(|| self.cannot())?;
        let named = files::rename_to_new(&self.path, path);
        if !named.with_context(|| format!("cannot write {}", path.display()))? {
            misuse!("{} has come meanwhile, from elsewhere: move it away", path.display());
        }
        self.forget()
    }

    /// Keeps nothing.
    pub fn remove(&mut self) -> Result<()> {
        fs::remove_file(&self.path).with_context(|| self.cannot())?;
        self.forget()
    }

    fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.memory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.memory.display()))
            }
            _ => Ok(()),
        }
    }

    fn cannot(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

fn open_at_end(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_its_name_already_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "whole").unwrap();
        fs::hard_link(&path, beside(&path, "partial")).unwrap();
        let mut partial = Partial::open(&path, "http://127.0.0.1:1/").unwrap();
        assert_eq!(partial.len(), 0);
        partial.append(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_to_string(partial.path()).unwrap(), "new");
    }
}
