//! Which rows of a table a step reads and moves.

use std::sync::OnceLock;

use tch::Tensor;

use crate::device::memory;

/// A list of row ids in which an id may stand more than once.
pub struct TouchedRows {
    ids: Tensor,
    distinct: OnceLock<Distinct>,
}

// SAFETY: nothing writes to the ids, and libtorch lets several threads read a tensor.
unsafe impl Sync for TouchedRows {}

/// The distinct ids of a list, padding (0) left out, and the places where each stands.
pub struct Distinct {
    /// Ascending.
    pub ids: Vec<u32>,
    /// Of distinct id `r` the places are `places[starts[r]..starts[r + 1]]`.
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl TouchedRows {
    /// The rows of `ids` `[places]`, int64 on any device.
    pub fn new(ids: Tensor) -> Self {
        Self { ids: ids.contiguous(), distinct: OnceLock::new() }
    }

    /// The same where the distinct rows are known.
    pub fn known(ids: Tensor, distinct: Distinct) -> Self {
        Self { ids, distinct: OnceLock::from(distinct) }
    }

    /// Rows of the host of which each stands once.
    pub fn once(rows: &[u32]) -> Self {
        let ids: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
        let places: Vec<u32> = (0..rows.len() as u32).collect();
        let starts = (0..=rows.len() as u32).collect();
        Self::known(Tensor::from_slice(&ids), Distinct { ids: rows.to_vec(), starts, places })
    }

    /// As [`TouchedRows::distinct`].
    pub fn into_distinct(self) -> Distinct {
        self.distinct();
        self.distinct.into_inner().expect("they were just found")
    }

    /// `[places]`, int64.
    pub fn ids(&self) -> &Tensor {
        &self.ids
    }

    /// The distinct rows, of ids on the host. They are found when first asked for: whoever draws a
    /// batch for loops asks ahead of the step. (Tensor ops never ask: on a GPU that would wait for
    /// all that was launched before.)
    pub fn distinct(&self) -> &Distinct {
        self.distinct.get_or_init(|| Distinct::of(memory::ids(&self.ids)))
    }
}

impl Distinct {
    /// Sorts `ids` and finds its repeats.
    pub fn of(ids: &[i64]) -> Self {
        let listed = ids.iter().enumerate().filter(|(_, id)| **id != 0);
        let mut sorted: Vec<u64> =
            listed.map(|(place, &id)| ((id as u64) << 32) | place as u64).collect();
        sort(&mut sorted);
        let mut distinct = Self {
            ids: Vec::with_capacity(sorted.len()),
            starts: Vec::with_capacity(sorted.len() + 1),
            places: Vec::with_capacity(sorted.len()),
        };
        for entry in sorted {
            let id = (entry >> 32) as u32;
            if distinct.ids.last() != Some(&id) {
                distinct.ids.push(id);
                distinct.starts.push(distinct.places.len() as u32);
            }
            distinct.places.push(entry as u32);
        }
        distinct.starts.push(distinct.places.len() as u32);
        distinct
    }

    /// The number of distinct ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where distinct id `row` stands in the list, ascending.
    pub fn places(&self, row: usize) -> &[u32] {
        &self.places[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

/// Sorts by the upper halves and leaves equals in their order: a radix sort of as many 11-bit
/// digits as the largest needs, some times faster than comparing.
fn sort(entries: &mut Vec<u64>) {
    const BITS: u32 = 11;
    let largest = entries.iter().max().map_or(0, |entry| entry >> 32);
    let mut other = vec![0; entries.len()];
    let mut shift = 32;
    while largest >> (shift - 32) > 0 {
        let digit = |entry: u64| (entry >> shift) as usize & ((1 << BITS) - 1);
        let mut starts = [0u32; 1 << BITS];
        for &entry in entries.iter() {
            starts[digit(entry)] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += std::mem::replace(start, total);
        }
        for &entry in entries.iter() {
            let start = &mut starts[digit(entry)];
            other[*start as usize] = entry;
            *start += 1;
        }
        std::mem::swap(entries, &mut other);
        shift += BITS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;
    use std::collections::BTreeMap;

    #[test]
    fn distinct_ids_are_ascending_and_know_all_their_places() {
        for (range, count) in [(1i64, 0), (1, 4), (9, 50), (5000, 3000), (1 << 31, 2000)] {
            let mut rng = stream(1, Purpose::Batch, 0);
            let ids: Vec<i64> = (0..count).map(|_| rng.random_range(0..=range)).collect();
            let mut expected: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (place, id) in ids.iter().enumerate().filter(|(_, id)| **id != 0) {
                expected.entry(*id as u32).or_default().push(place as u32);
            }
            let rows = TouchedRows::new(Tensor::from_slice(&ids));
            let distinct = rows.distinct();
            let found: BTreeMap<u32, Vec<u32>> = (0..distinct.len())
                .map(|row| (distinct.ids[row], distinct.places(row).to_vec()))
                .collect();
            assert_eq!(found, expected);
            assert!(distinct.ids.is_sorted());
        }
    }
}
