//! The files of a data set as its owner hands them out.

use anyhow::Result;
use serde::Deserialize;

use crate::misuse;

/// What the name of a file begins with that `croloss generate` wrote in an owner's format.
pub const GENERATED: &str = "generated-";

/// One of `[[raw]]`: a file as its owner hands it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    pub name: String,
    /// Where its owner lets programs download it.
    #[serde(default)]
    pub url: Option<String>,
    /// In bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// In hexadecimal.
    #[serde(default)]
    pub md5: Option<String>,
    /// In hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl RawFile {
    /// # Errors
    /// A name that leads somewhere else, an address of another kind, a checksum that is none.
    pub fn check(&self) -> Result<()> {
        let name = &self.name;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            misuse!("raw.name: {name:?} is no file's name");
        }
        if let Some(url) = &self.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            misuse!("raw.url: {url:?} begins with neither https:// nor http://");
        }
        for (key, sum, digits) in [("md5", &self.md5, 32), ("sha256", &self.sha256, 64)] {
            let is = |sum: &String| {
                sum.len() == digits
                    && sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            };
            if let Some(sum) = sum.as_ref().filter(|sum| !is(sum)) {
                misuse!("raw.{key}: {sum:?} is not {digits} digits from 0 to 9 and a to f");
            }
        }
        Ok(())
    }
}
