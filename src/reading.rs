//! Files that are read whole: ordinary ones, of a size that was reckoned with.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::misuse;

/// Far longer than any text that people or this program write for it.
pub const LONGEST: u64 = 64 << 20;

/// Opens an ordinary file. Whatever else has a name, a pipe or a device, may never end.
///
/// # Errors
/// [`crate::error::Misuse`] for what is no ordinary file; names what cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    let cannot = || format!("cannot read {}", path.display());
    // A pipe would otherwise wait for its writer here.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.with_context(cannot)?;
    if !file.metadata().with_context(cannot)?.is_file() {
        misuse!("{} is not an ordinary file", path.display());
    }
    Ok(file)
}

/// The text of an ordinary file.
///
/// # Errors
/// Those of [`open`]; a text that is far too long, or is not UTF-8.
pub fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = open(path)?.take(LONGEST + 1).read_to_string(&mut text);
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    if read as u64 > LONGEST {
        misuse!("{} is over {} MiB long", path.display(), LONGEST >> 20);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "ä").unwrap();
        assert_eq!(text(&path).unwrap(), "ä");
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for special in [&pipe, dir.path(), Path::new("/dev/zero")] {
            let error = text(special).unwrap_err().to_string();
            assert!(error.ends_with("is not an ordinary file"), "{error}");
        }
        File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
        assert!(text(&path).unwrap_err().to_string().contains("over 64 MiB"));
        std::fs::write(&path, [0xff]).unwrap();
        assert!(format!("{:#}", text(&path).unwrap_err()).contains("UTF-8"));
    }
}
