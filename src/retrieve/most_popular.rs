//! What those are given of whom nothing is known, if that is asked for: what is popular.

use super::choice::Choice;
use crate::host::top_k::Hit;

/// What answers call it.
pub const POPULARITY: &str = "popularity";

/// The items that may be recommended, by how often they stand in the training part.
pub struct MostPopular {
    /// The most frequent first, of equals the lower row; scores are the counts.
    hits: Vec<Hit>,
    /// `[items]`: where a row stands in `hits`, if it does.
    places: Vec<Option<u32>>,
}

impl MostPopular {
    /// From the `counts` of all items, of which only `rows` may be recommended, if given.
    pub fn new(counts: &[u64], rows: Option<&[u32]>) -> Self {
        let mut rows = rows.map_or_else(|| (0..counts.len() as u32).collect(), <[u32]>::to_vec);
        rows.sort_by_key(|&row| (u64::MAX - counts[row as usize], row));
        let mut places = vec![None; counts.len()];
        (0..).zip(&rows).for_each(|(place, &row)| places[row as usize] = Some(place));
        let hit = |row: u32| Hit { row, score: counts[row as usize] as f32 };
        Self { hits: rows.into_iter().map(hit).collect(), places }
    }

    /// The `top` best that a request may be given.
    pub fn best(&self, top: usize, choice: &Choice) -> Vec<Hit> {
        let may = |hit: &Hit| choice.deny.binary_search(&hit.row).is_err();
        let Some(rows) = &choice.allow else {
            return self.hits.iter().copied().filter(may).take(top).collect();
        };
        let mut places: Vec<u32> =
            rows.iter().filter_map(|&row| self.places[row as usize]).collect();
        places.sort_unstable();
        places.into_iter().map(|place| self.hits[place as usize]).filter(may).take(top).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(hits: &[Hit]) -> Vec<u32> {
        hits.iter().map(|hit| hit.row).collect()
    }

    #[test]
    fn the_most_frequent_that_may_be_given_come_first() {
        // Two counts that float32 does not tell apart.
        let counts = [3, 0, 1 << 24, 3, (1 << 24) + 1];
        let all = MostPopular::new(&counts, None);
        let free = Choice::default();
        assert_eq!(rows(&all.best(9, &free)), [4, 2, 0, 3, 1]);
        assert_eq!(all.best(9, &free)[2], Hit { row: 0, score: 3.0 });
        assert_eq!(rows(&all.best(2, &free)), [4, 2]);
        let some = MostPopular::new(&counts, Some(&[0, 1, 3, 4]));
        let deny = Choice { allow: None, deny: vec![2, 4] };
        let allow = Choice { allow: Some(vec![0, 1, 2, 4]), deny: vec![4] };
        assert_eq!(rows(&all.best(2, &deny)), [0, 3]);
        assert_eq!(rows(&some.best(9, &deny)), [0, 3, 1]);
        assert_eq!(rows(&all.best(9, &allow)), [2, 0, 1]);
        assert_eq!(rows(&some.best(1, &allow)), [0]);
        assert!(all.best(9, &Choice { allow: Some(vec![]), deny: vec![] }).is_empty());
    }
}
