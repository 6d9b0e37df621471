//! The parts of a data set: which of its users train, validate and test.

use serde::{Deserialize, Serialize};

/// Which part of the experiment a user belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    /// Every part, in the order of tables.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// The name that is written and shown.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Split> {
        Split::ALL.into_iter().find(|part| part.name() == name)
    }
}
