//! Ids as small numbers, in order of first appearance.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Context, Result};
use compact_str::CompactString;
use foldhash::fast::RandomState;

/// Gives each distinct string a number from 0, in order of first appearance.
#[derive(Default)]
pub(super) struct Interner {
    /// By what they say: ids that are written as numbers, which most logs have.
    written: Written,
    // Others of up to 24 bytes stand in the table itself: a look-up is one way to memory.
    others: HashMap<CompactString, u32, RandomState>,
}

impl Interner {
    /// The number of a string that has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        match says(name) {
            Some(value) => self.written.get(value),
            None => self.others.get(name).copied(),
        }
    }

    pub fn number(&mut self, name: &str) -> Result<u32> {
        match self.get(name) {
            Some(number) => Ok(number),
            None => self.number_of(name.into()),
        }
    }

    fn number_of(&mut self, name: CompactString) -> Result<u32> {
        let new = u32::try_from(self.len()).ok().filter(|new| *new < u32::MAX);
        if let Some(value) = says(&name) {
            return match self.written.get(value) {
                Some(known) => Ok(known),
                None => Ok(self.written.add(value, new.context(TOO_MANY)?)),
            };
        }
        match self.others.entry(name) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(place) => Ok(*place.insert(new.context(TOO_MANY)?)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.written.count + self.others.len()
    }

    /// All of them, each in the place of its number.
    pub fn into_names(self) -> Vec<String> {
        let mut names = vec![String::new(); self.len()];
        for (value, number) in self.written.all() {
            names[number as usize] = value.to_string();
        }
        for (name, number) in self.others {
            names[number as usize] = name.into();
        }
        names
    }
}

const TOO_MANY: &str = "2^32 ids or more";

/// What an id says that is a number below [`Written::PLACES`], written without zeros or a sign
/// before it.
fn says(name: &str) -> Option<usize> {
    /// Digits of such numbers.
    const DIGITS: usize = 8;
    let digits = name.as_bytes();
    if digits.is_empty() || digits.len() > DIGITS || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let mut value = 0;
    for digit in digits {
        let digit = usize::from(digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        value = value * 10 + digit;
    }
    (value < Written::PLACES).then_some(value)
}

/// Numbers by what ids say: a look-up without a hash and without a comparison.
#[derive(Default)]
struct Written {
    /// By value: the number and 1; 0 of what no id says. Memory of places that nobody asks for is
    /// never touched, so that it costs nothing.
    numbers: Vec<u32>,
    count: usize,
}

impl Written {
    /// 64 MiB of them at most; the users and items of most logs are counted below it.
    const PLACES: usize = 1 << 24;

    fn get(&self, value: usize) -> Option<u32> {
        self.numbers.get(value).and_then(|number| number.checked_sub(1))
    }

    /// Gives what nobody has said before its number.
    fn add(&mut self, value: usize, number: u32) -> u32 {
        if value >= self.numbers.len() {
            let mut longer = vec![0; (value + 1).next_power_of_two()];
            longer[..self.numbers.len()].copy_from_slice(&self.numbers);
            self.numbers = longer;
        }
        self.numbers[value] = number + 1;
        self.count += 1;
        number
    }

    /// Each value with its number.
    fn all(&self) -> impl Iterator<Item = (usize, u32)> {
        let numbers = self.numbers.iter().enumerate();
        numbers.filter_map(|(value, number)| Some((value, number.checked_sub(1)?)))
    }
}

/// The ids of a piece of a log, numbered on any thread beside what is known of the log before it:
/// known ones have their number, new ones the numbers behind all that are known.
#[derive(Default)]
pub(super) struct Numbered {
    pub numbers: Vec<u32>,
    new: HashMap<CompactString, u32, RandomState>,
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
        let behind = known.len() + self.new.len();
        match self.new.entry(name.into()) {
            Entry::Occupied(there) => Ok(*there.get()),
            Entry::Vacant(place) => {
                Ok(*place.insert(u32::try_from(behind).ok().context(TOO_MANY)?))
            }
        }
    }

    /// Appends the numbers that the ids have in the whole log to `numbers`. `known` is as it was, but
    /// for what pieces before this one have added.
    pub fn add_to(self, known: &mut Interner, base: usize, numbers: &mut Vec<u32>) -> Result<()> {
        let mut names = vec![CompactString::default(); self.new.len()];
        for (name, number) in self.new {
            names[number as usize - base] = name;
        }
        let new: Vec<u32> =
            names.into_iter().map(|name| known.number_of(name)).collect::<Result<_>>()?;
        let own = |number: &u32| match (*number as usize).checked_sub(base) {
            Some(place) => new[place],
            None => *number,
        };
        numbers.extend(self.numbers.iter().map(own));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids of every kind: near and far numbers, with zeros before them, signs, words, one after
    /// another, again and again.
    fn ids() -> Vec<String> {
        let numbers = (0u64..3000).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut all = vec![String::new(), "0".into(), "00".into(), "4294967295".into()];
        for number in numbers {
            all.push((number >> 52).to_string());
            all.push(format!("0{}", number >> 56));
            all.push(format!("+{}", number >> 58));
            all.push((number >> 34).to_string());
            all.push((number >> 20).to_string());
            all.push(format!("B{:05X}", number >> 54));
        }
        all
    }

    fn by_search(ids: &[String]) -> (Vec<String>, Vec<u32>) {
        let (mut names, mut numbers) = (vec![], vec![]);
        let mut known = HashMap::new();
        for id in ids {
            let number = *known.entry(id).or_insert_with(|| {
                names.push(id.clone());
                names.len() as u32 - 1
            });
            numbers.push(number);
        }
        (names, numbers)
    }

    #[test]
    fn each_string_has_one_number_by_first_appearance() {
        let ids = ids();
        let mut interner = Interner::default();
        let numbers: Vec<u32> = ids.iter().map(|id| interner.number(id).unwrap()).collect();
        let (names, expected) = by_search(&ids);
        assert_eq!(numbers, expected);
        assert!(ids.iter().zip(&numbers).all(|(id, number)| interner.get(id) == Some(*number)));
        assert!(["-1", "7 ", "B", "999999999"].iter().all(|id| interner.get(id).is_none()));
        assert!(interner.written.count > 1500, "near numbers have a place of their own");
        assert!(interner.others.len() > 4000, "far ones and words have not");
        assert_eq!((interner.len(), interner.into_names()), (names.len(), names));
    }

    #[test]
    fn pieces_that_are_numbered_side_by_side_are_as_one() {
        let ids = ids();
        let (names, expected) = by_search(&ids);
        let mut known = Interner::default();
        let mut numbers = vec![];
        for block in ids.chunks(1000) {
            let base = known.len();
            let pieces = block.chunks(300).map(|piece| {
                let mut own = Numbered::default();
                own.extend(&known, piece.iter().map(String::as_str)).unwrap();
                own
            });
            let pieces: Vec<Numbered> = pieces.collect();
            for piece in pieces {
                piece.add_to(&mut known, base, &mut numbers).unwrap();
            }
        }
        assert_eq!((numbers, known.into_names()), (expected, names));
    }

    #[test]
    fn ids_that_say_much_are_words() {
        let mut interner = Interner::default();
        for id in ["99999999", "16777216", "16777215", "7"] {
            interner.number(id).unwrap();
        }
        assert_eq!((interner.written.count, interner.others.len()), (2, 2));
        assert_eq!(interner.into_names(), ["99999999", "16777216", "16777215", "7"]);
    }
}
