//! Versions of the formats that are read again later, each a major and a minor number. What changes
//! so that an earlier program would read it wrongly is another major version; what only comes in
//! addition, another minor one. A program reads every minor version of its own major one.

use std::fmt;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Of dataset folders: `dataset.toml`.
pub const DATASET: Version = Version(1, 0);
/// Of run folders: `run.json`.
pub const RUN: Version = Version(1, 0);
/// Of the checkpoints of a run: `checkpoint.json`.
pub const CHECKPOINT: Version = Version(1, 0);
/// Of the folders of `croloss tune`: `tune.json`, `found.json`.
pub const SEARCH: Version = Version(1, 0);
/// Of exports: `export.json`.
pub const EXPORT: Version = Version(1, 0);
/// Of approximate indexes: `index.json`.
pub const INDEX: Version = Version(1, 0);

/// A version: `"1.0"`, or `1` as earlier programs wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Version(u32, u32);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

/// What every file that says its version has, whatever else it has.
#[derive(Deserialize)]
pub struct Versioned {
    pub format: Version,
}

impl Version {
    /// That of folders that were written before they told theirs.
    pub fn first() -> Version {
        Version(1, 0)
    }

    /// Takes what is written in this version, and refuses what `found` is the version of where that
    /// cannot be read.
    ///
    /// # Errors
    /// With both versions; `what` is what cannot be read, `remedy` what to do.
    pub fn reads(self, found: Version, what: impl fmt::Display, remedy: &str) -> Result<()> {
        if found.0 != self.0 {
            bail!(
                "{what} has format {found}, and this program, croloss {}, reads format {}: {remedy}",
                env!("CARGO_PKG_VERSION"),
                self.0
            );
        }
        Ok(())
    }
}

impl TryFrom<Written> for Version {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Number(major) => return Ok(Version(major, 0)),
            Written::Text(text) => text,
        };
        let parts = text.split_once('.');
        let parts = parts.and_then(|(a, b)| Some(Version(a.parse().ok()?, b.parse().ok()?)));
        parts.ok_or_else(|| format!("a version like \"1.0\" was expected, not {text:?}"))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Version, String> {
        let read: Result<Versioned, _> = serde_json::from_str(json);
        read.map(|read| read.format).map_err(|error| error.to_string())
    }

    #[test]
    fn versions_are_read_as_they_are_and_were_written() {
        assert_eq!(of(r#"{"format": 1}"#), Ok(Version(1, 0)));
        assert_eq!(of(r#"{"format": "2.13", "new": []}"#), Ok(Version(2, 13)));
        assert_eq!(serde_json::to_string(&Version(2, 13)).unwrap(), r#""2.13""#);
        for wrong in ["\"2\"", "\"2.\"", "\"1.0.0\"", "\"-1.0\"", "-1", "1.5", "null"] {
            assert!(of(&format!(r#"{{"format": {wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn minor_versions_are_read_and_others_named() {
        let reads = |found| Version(2, 1).reads(found, "runs/a", "train it again");
        assert!(reads(Version(2, 0)).is_ok() && reads(Version(2, 7)).is_ok());
        for other in [Version(1, 1), Version(3, 0)] {
            let error = reads(other).unwrap_err().to_string();
            let start = format!("runs/a has format {other}, and this program, croloss ");
            assert!(error.starts_with(&start), "{error}");
            assert!(error.ends_with(", reads format 2: train it again"), "{error}");
        }
    }
}
