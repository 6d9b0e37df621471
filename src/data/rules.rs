//! `[rules]` of a description: what is too rare to learn from.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::misuse;

/// `[rules]`: what is too rare to learn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Items with fewer interactions are dropped, first.
    pub min_item_count: u64,
    /// Users with fewer remaining interactions are dropped, then.
    pub min_user_count: u64,
    /// Users with fewer interactions are dropped at the very beginning, too: what they met does not
    /// count for its item.
    pub short_users_first: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { min_item_count: 5, min_user_count: 5, short_users_first: false }
    }
}

impl Rules {
    /// # Errors
    /// A count below 1.
    pub fn check(&self) -> Result<()> {
        if self.min_item_count == 0 || self.min_user_count == 0 {
            misuse!("min_item_count and min_user_count are at least 1");
        }
        Ok(())
    }
}
