//! Which rows of a table are whose.

use std::ops::Range;

/// A rank's part of the rows of every table: of those that are numbered from 1 on, row `i` is that of
/// rank `i mod ranks`. Its own table has them by rising number, behind a row of its own for padding,
/// row 0, which every rank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub rank: usize,
    pub ranks: usize,
}

impl Shard {
    /// Everything, of one process alone.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1 };

    /// Whose row `id` is.
    pub fn owner(self, id: usize) -> usize {
        id % self.ranks
    }

    /// Whether row `id` is here.
    pub fn owns(self, id: usize) -> bool {
        self.owner(id) == self.rank
    }

    /// Where row `id` stands in its owner's table.
    pub fn local(self, id: usize) -> usize {
        id.div_ceil(self.ranks)
    }

    /// Where row `id` stands here, if it is here.
    pub fn here(self, id: u32) -> Option<u32> {
        self.owns(id as usize).then(|| self.local(id as usize) as u32)
    }

    /// Which row stands at `local` in this rank's table.
    pub fn global(self, local: usize) -> usize {
        match (local, self.rank) {
            (0, _) => 0,
            (_, 0) => local * self.ranks,
            (_, rank) => (local - 1) * self.ranks + rank,
        }
    }

    /// How many of the rows 1 to `rows` are here.
    pub fn count(self, rows: usize) -> usize {
        match self.rank {
            0 => rows / self.ranks,
            rank => (rows + self.ranks - rank) / self.ranks,
        }
    }

    /// Of the rows `ids` those that are here stand every `ranks` rows: how far from its start the first
    /// of them is, where that one stands here, and how many they are. Padding is the first rank's.
    pub fn within(self, ids: Range<usize>) -> (usize, usize, usize) {
        let ahead = (self.rank + self.ranks - ids.start % self.ranks) % self.ranks;
        let first = ids.start + ahead;
        let count = ids.end.saturating_sub(first).div_ceil(self.ranks);
        (ahead, self.local(first), count)
    }

    /// The part of another rank.
    pub fn of(self, rank: usize) -> Self {
        Self { rank, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_one_place_and_places_have_no_gaps() {
        for ranks in 1..6 {
            for rows in 0..20 {
                let mut places = vec![vec![]; ranks];
                (1..=rows).for_each(|id| places[id % ranks].push(id));
                for (rank, own) in places.iter().enumerate() {
                    let shard = Shard { rank, ranks };
                    assert_eq!(shard.count(rows), own.len(), "{rank} of {ranks}, {rows} rows");
                    for (at, &id) in own.iter().enumerate() {
                        assert_eq!((shard.local(id), shard.global(at + 1)), (at + 1, id));
                        assert!(shard.owns(id) && !shard.of((rank + 1) % ranks.max(2)).owns(id));
                    }
                    assert_eq!((shard.local(0), shard.global(0)), (0, 0));
                    for from in 0..=rows {
                        let here: Vec<usize> = (from..=rows).filter(|id| shard.owns(*id)).collect();
                        let (ahead, local, count) = shard.within(from..rows + 1);
                        assert_eq!(count, here.len());
                        if let Some(first) = here.first() {
                            assert_eq!((from + ahead, local), (*first, shard.local(*first)));
                        }
                    }
                }
            }
        }
    }
}
