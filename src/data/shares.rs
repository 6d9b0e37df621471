//! What of a dataset is repeats, and what has no order of its own.

use super::dataset::Dataset;
use super::distinct::distinct;

impl Dataset {
    /// Interactions with an item that their user had before.
    pub fn repeats(&self) -> u64 {
        let of = |user| {
            let sequence = self.sequences.get(user);
            (sequence.len() - distinct(sequence).len()) as u64
        };
        (0..self.sequences.len()).map(of).sum()
    }

    /// Interactions in the second, or unit of the log's times, of the one before them of the same user:
    /// where the log has no parts of it, their order is that of the log. `None` if it has no times.
    pub fn tied_times(&self) -> Option<u64> {
        let times = self.times.as_ref()?;
        let tied = |user: &[usize]| {
            let times = &times[user[0]..user[1]];
            times.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
        };
        Some(self.sequences.offsets.windows(2).map(tied).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Counts, Manifest, Sequences};
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn repeats_and_ties_are_those_of_a_search_backwards() {
        let mut rng = stream(5, Purpose::Batch, 0);
        let mut offsets = vec![0];
        (0..200).for_each(|_| offsets.push(offsets[offsets.len() - 1] + rng.random_range(0..9)));
        let total = offsets[200];
        let items: Vec<u32> = (0..total).map(|_| rng.random_range(1..7)).collect();
        let mut times: Vec<i64> = (0..total).map(|_| rng.random_range(-3..9)).collect();
        offsets.windows(2).for_each(|user| times[user[0]..user[1]].sort_unstable());
        let (mut repeats, mut ties) = (0, 0);
        for user in offsets.windows(2) {
            for at in user[0]..user[1] {
                repeats += u64::from((user[0]..at).any(|before| items[before] == items[at]));
                ties += u64::from((user[0]..at).any(|before| times[before] == times[at]));
            }
        }
        let mut dataset = Dataset {
            items: vec![],
            users: vec![],
            sequences: Sequences { items, offsets },
            times: Some(times),
            split: vec![],
            cuts: None,
            item_features: None,
            user_features: None,
            cold: None,
            manifest: Manifest { counts: Counts::default(), ..Manifest::default() },
        };
        assert!(repeats > 100 && ties > 100);
        assert_eq!((dataset.repeats(), dataset.tied_times()), (repeats, Some(ties)));
        dataset.times = None;
        assert_eq!(dataset.tied_times(), None);
    }
}
