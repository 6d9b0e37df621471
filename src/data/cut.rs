//! Where a user's sequence is cut: by two moments, or before its last two items.

use std::ops::Range;

use super::split::Split;

/// How much of a user's sequence lies before each of the two cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Items before those that validate: what may be trained on.
    pub validation: usize,
    /// Items before those that test, those that validate among them.
    pub test: usize,
}

impl Cut {
    /// Before the last two items of a sequence of this length, where something is left to train on:
    /// a shorter one trains whole.
    pub fn before_last(length: usize) -> Self {
        match length {
            3.. => Self { validation: length - 2, test: length - 1 },
            _ => Self { validation: length, test: length },
        }
    }

    /// The items of one part, of a sequence of this length.
    pub fn items(self, part: Split, length: usize) -> Range<usize> {
        match part {
            Split::Train => 0..self.validation,
            Split::Validation => self.validation..self.test,
            Split::Test => self.test..length,
        }
    }
}
