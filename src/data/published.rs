//! How much a data set is to hold: what papers print, and what its description expects.

use anyhow::{Result, bail};
use serde::Deserialize;

use super::manifest::Counts;

/// One of `[[published]]`: what a paper, or the owner, prints.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedCounts {
    /// Where it is printed, and of what.
    pub by: String,
    pub users: Option<u64>,
    pub items: Option<u64>,
    pub interactions: Option<u64>,
}

/// `[expected]`: what the rules of the description are to leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedCounts {
    pub users: Option<u64>,
    pub items: Option<u64>,
    pub interactions: Option<u64>,
    /// Whether a difference is an error; else it is only told.
    pub must_match: bool,
}

/// What is counted: its name, how much of it there should be, and how much there is.
pub type Compared = (&'static str, u64, u64);

fn compare(wanted: [Option<u64>; 3], found: &Counts) -> Vec<Compared> {
    let names = ["users", "items", "interactions"];
    let found = [found.users, found.items, found.interactions];
    let all = names.into_iter().zip(wanted).zip(found);
    all.filter_map(|((name, wanted), found)| Some((name, wanted?, found))).collect()
}

impl PublishedCounts {
    /// Each number that is printed, beside what was found.
    pub fn beside(&self, found: &Counts) -> Vec<Compared> {
        compare([self.users, self.items, self.interactions], found)
    }
}

impl ExpectedCounts {
    /// Each number that is expected, beside what was found.
    pub fn beside(&self, found: &Counts) -> Vec<Compared> {
        compare([self.users, self.items, self.interactions], found)
    }

    /// # Errors
    /// A difference, where there must be none.
    pub fn check(&self, found: &Counts) -> Result<()> {
        let different = self.beside(found).into_iter().find(|(_, wanted, found)| wanted != found);
        if let (true, Some((name, wanted, found))) = (self.must_match, different) {
            bail!(
                "{found} {name} are left, where the description expects {wanted} and says that they \
                 must match: is it the file that it describes, and are the rules its own?"
            );
        }
        Ok(())
    }
}
