//! Downloads of data sets from their owners: gone on with where they broke off, checked, and never
//! in the place of a file that is there.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::data::RawFile;
use crate::files::{self, beside};
use crate::locks::Lock;
use crate::misuse;
use partial::Partial;
use remote::{Answer, Remote};

mod partial;
mod remote;

/// More bytes than any file has whose size neither its description nor its server tells.
pub const MOST: u64 = 64 << 30;

/// What came of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It was there already, of the size and with the checksums that its description knows.
    There,
    /// It was downloaded.
    New,
}

/// Downloads a file into `folder`, or finds that it is there. `most`: how many bytes it may have
/// where its size is not known ([`MOST`]). `progress` is told the bytes that are there, and of how
/// many where that is known.
///
/// Until it is whole it lies in the folder under a hidden name. A connection that breaks is taken up
/// again where it broke, in this call as long as that brings anything, and in the next one. The file
/// gets its name when its size and its checksums are right.
///
/// # Errors
/// A file of that name that is another one; a file without an address; a server that cannot be
/// reached, answers something else than the file, or sends more than there can be; a checksum that
/// is another one; a disk that fails; another process that downloads the same.
pub fn fetch(
    raw: &RawFile,
    folder: &Path,
    most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Fetched> {
    raw.check()?;
    let path = folder.join(&raw.name);
    if is_there(raw, &path)? {
        return Ok(Fetched::There);
    }
    let Some(url) = &raw.url else {
        misuse!("no address is known from which a program may download {}", raw.name);
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let lock = beside(&path, "lock");
    let lock =
        Lock::take(&lock, |_| true).with_context(|| format!("cannot write {}", lock.display()))?;
    if lock.is_none() {
        misuse!("{} is being downloaded by another process: wait for it", path.display());
    }
    get(raw, &path, url, most, progress)
}

/// What [`fetch`] does under the lock.
fn get(
    raw: &RawFile,
    path: &Path,
    url: &str,
    most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Fetched> {
    // Whoever held the lock before may have brought it.
    if is_there(raw, path)? {
        return Ok(Fetched::There);
    }
    let mut partial = Partial::open(path, url)?;
    let whole = download(&Remote::new(url), raw, &mut partial, most, progress);
    if whole.is_err() && partial.len() == 0 {
        // The first error is the one to tell.
        let _ = partial.remove();
    }
    whole?;
    if let Some(difference) = difference(raw, partial.path())? {
        partial.remove()?;
        bail!("{url} is not the file that the description knows ({difference}): nothing is kept");
    }
    partial.finish(path)?;
    Ok(Fetched::New)
}

/// Whether the file is in its place.
///
/// # Errors
/// [`crate::error::Misuse`]: another file is.
fn is_there(raw: &RawFile, path: &Path) -> Result<bool> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(false);
    }
    if let Some(difference) = difference(raw, path)? {
        misuse!(
            "{} is there, and is not the file that the description knows ({difference}): move it away \
             to get that",
            path.display()
        );
    }
    Ok(true)
}

fn download(
    remote: &Remote,
    raw: &RawFile,
    partial: &mut Partial,
    most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    let mut furthest = partial.len();
    while let Err(broken) = attempt(remote, raw, partial, most, progress)? {
        // Each try has to come further than all before it, so that there is an end.
        if partial.len() <= furthest {
            let kept = match partial.resumable() {
                Some(_) => "; what has come is kept: call again to go on",
                None => "",
            };
            return Err(broken.context(format!("{} did not come whole{kept}", remote.url())));
        }
        furthest = partial.len();
    }
    Ok(())
}

/// One request. `Err` within: the connection broke, and another try may come further.
fn attempt(
    remote: &Remote,
    raw: &RawFile,
    partial: &mut Partial,
    most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Result<()>> {
    if partial.is_whole() {
        return Ok(Ok(()));
    }
    let answer = match remote.ask(partial.resumable().as_ref())? {
        Ok(answer) => answer,
        Err(broken) => return Ok(Err(broken)),
    };
    let Some(Answer { from, total, validator, mut body }) = answer else {
        // Not a continuation of what is there, whatever it is: from the start, without a range.
        partial.restart(None, None)?;
        return attempt(remote, raw, partial, most, progress);
    };
    if let (Some(size), Some(total)) = (raw.size, total)
        && size != total
    {
        partial.remove()?;
        bail!(
            "{} offers {total} bytes where the description knows {size}: it is another file",
            remote.url()
        );
    }
    if from == 0 {
        partial.restart(validator, total)?;
    }
    let limit = raw.size.or(total).unwrap_or(most);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Ok(Err(error.into())),
        };
        if partial.len() + read as u64 > limit {
            partial.remove()?;
            bail!("{} sends more than {limit} bytes: nothing is kept", remote.url());
        }
        partial.append(&piece[..read])?;
        progress(partial.len(), total.or(raw.size));
    }
    match raw.size.or(total) {
        Some(wanted) if partial.len() < wanted => Ok(Err(anyhow::anyhow!(
            "the connection ended after {} bytes of {wanted}",
            partial.len()
        ))),
        _ if partial.len() == 0 => {
            partial.remove()?;
            bail!("{} answers with an empty file", remote.url())
        }
        _ => Ok(Ok(())),
    }
}

/// In what a file differs from the one that is described.
fn difference(raw: &RawFile, path: &Path) -> Result<Option<String>> {
    let found = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    if let Some(size) = raw.size.filter(|size| *size != found) {
        return Ok(Some(format!("it has {found} bytes, not {size}")));
    }
    type Sum = fn(&Path) -> Result<String>;
    let sums: [(_, _, Sum); 2] =
        [("MD5", &raw.md5, files::md5), ("SHA-256", &raw.sha256, files::sha256)];
    for (name, wanted, sum) in sums {
        let Some(wanted) = wanted else { continue };
        let found = sum(path)?;
        if found != *wanted {
            return Ok(Some(format!("its {name} is {found}, not {wanted}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_has_brought_meanwhile_is_not_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "whole").unwrap();
        let raw = RawFile { name: "log".into(), size: Some(5), ..RawFile::default() };
        // Nobody answers there.
        let got = get(&raw, &path, "http://127.0.0.1:1/", MOST, &mut |_, _| {});
        assert_eq!(got.unwrap(), Fetched::There);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
