//! Where two moments cut a user's sequence.

use std::ops::Range;

use super::split::Split;

/// How much of a user's sequence lies before each of the two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Items before the validation window: what may be trained on.
    pub validation: usize,
    /// Items before the cut, those of the window among them.
    pub test: usize,
}

impl Cut {
    /// The items of one part, of a sequence of this length.
    pub fn items(self, part: Split, length: usize) -> Range<usize> {
        match part {
            Split::Train => 0..self.validation,
            Split::Validation => self.validation..self.test,
            Split::Test => self.test..length,
        }
    }
}
