//! The prepared data set: vocabulary, sequences and split.

/// Which part of the experiment a user belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Validation,
    Test,
}

/// One row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The id in the source log.
    pub original: String,
    /// Interactions in the log.
    pub count: u64,
}

/// One sequence of item ids a user, oldest first, in one flat array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// All users' items one after another; ids start at 1, 0 is padding.
    pub items: Vec<u32>,
    /// `[users + 1]`: user `u` owns `items[offsets[u]..offsets[u + 1]]`.
    pub offsets: Vec<usize>,
}

impl Sequences {
    /// The number of users.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no user.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of one user, oldest first.
    pub fn get(&self, user: usize) -> &[u32] {
        &self.items[self.offsets[user]..self.offsets[user + 1]]
    }
}

/// A prepared data set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The catalogue; item id `i` is at `i - 1`.
    pub items: Vec<Item>,
    /// The users' ids in the source log.
    pub users: Vec<String>,
    /// The users' items.
    pub sequences: Sequences,
    /// `[users]`
    pub split: Vec<Split>,
}
