//! Ids as small numbers, in order of first appearance.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Context, Result};
use compact_str::CompactString;
use foldhash::fast::RandomState;

/// Gives each distinct string a number from 0, in order of first appearance.
#[derive(Default)]
pub(super) struct Interner {
    // Ids of up to 24 bytes stand in the table itself: a look-up is one way to memory.
    numbers: HashMap<CompactString, u32, RandomState>,
}

impl Interner {
    /// The number of a string that has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub fn number(&mut self, name: &str) -> Result<u32> {
        match self.get(name) {
            Some(number) => Ok(number),
            None => self.number_of(name.into()),
        }
    }

    fn number_of(&mut self, name: CompactString) -> Result<u32> {
        let new = u32::try_from(self.numbers.len());
        match self.numbers.entry(name) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(place) => Ok(*place.insert(new.context(TOO_MANY)?)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// All of them, each in the place of its number.
    pub fn into_names(self) -> Vec<String> {
        self.names().into_iter().map(String::from).collect()
    }

    fn names(self) -> Vec<CompactString> {
        let mut names = vec![CompactString::default(); self.numbers.len()];
        for (name, number) in self.numbers {
            names[number as usize] = name;
        }
        names
    }
}

const TOO_MANY: &str = "more than 2^32 ids";

/// The ids of a piece of a log, numbered on any thread beside what is known of the log before it:
/// known ones have their number, new ones the numbers behind all that are known.
#[derive(Default)]
pub(super) struct Numbered {
    pub numbers: Vec<u32>,
    new: Interner,
}

impl Numbered {
    /// Appends ids. `known` is the same for all of a piece.
    pub fn extend<'n>(
        &mut self,
        known: &Interner,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<()> {
        // Logs are often grouped by user: the last one is found without a look-up.
        let mut last = ("", None);
        for name in names {
            let number = match last {
                (same, Some(number)) if same == name => number,
                _ => self.number(known, name)?,
            };
            last = (name, Some(number));
            self.numbers.push(number);
        }
        Ok(())
    }

    fn number(&mut self, known: &Interner, name: &str) -> Result<u32> {
        if let Some(number) = known.get(name) {
            return Ok(number);
        }
        let behind = u32::try_from(known.len()).ok();
        let new = self.new.number(name)?;
        behind.and_then(|behind| behind.checked_add(new)).context(TOO_MANY)
    }

    /// Appends the numbers that the ids have in the whole log to `numbers`. `known` is as it was, but
    /// for what pieces before this one have added.
    pub fn add_to(self, known: &mut Interner, base: usize, numbers: &mut Vec<u32>) -> Result<()> {
        let new = self.new.names().into_iter().map(|name| known.number_of(name));
        let new: Vec<u32> = new.collect::<Result<_>>()?;
        let own = |number: &u32| match (*number as usize).checked_sub(base) {
            Some(place) => new[place],
            None => *number,
        };
        numbers.extend(self.numbers.iter().map(own));
        Ok(())
    }
}
