//! `item-knn`: items that are met by the users who met those of the history.

use anyhow::Result;

use super::cooccurrence::{Counter, Occurrences};
use super::sparse::Sparse;
use super::{Training, row_by_row};
use crate::data::distinct;
use crate::eval::Scorer;

/// An item's score is the sum, over the distinct items of the history, of its cosine with each that
/// it is a neighbour of (Deshpande and Karypis, ACM TOIS 2004): the users of both over the root of
/// the product of the users of each. An item is no neighbour of itself.
pub struct ItemKnn {
    /// `[items, items]`: of each item its nearest neighbours, and their cosines.
    cosines: Sparse,
    window: Option<usize>,
}

impl ItemKnn {
    /// Counts, and keeps the nearest `neighbours` of each item, of equally near ones those of lower
    /// id. With a `window` only users count who met both at most so many places apart, and only so
    /// many of the latest items of a history.
    pub fn fit(training: Training, window: Option<usize>, neighbours: usize) -> Self {
        let occurrences = Occurrences::of(training);
        let mut users = vec![0u32; training.items];
        for sequence in training.each() {
            distinct(sequence).iter().for_each(|&id| users[id as usize - 1] += 1);
        }
        let row = |counter: &mut Counter, item: usize| {
            let both = occurrences.users_of_both(counter, item as u32 + 1, window);
            let cosine = |(id, both): (u32, u32)| {
                let product = f64::from(users[item]) * f64::from(users[id as usize - 1]);
                (id - 1, (f64::from(both) / product.sqrt()) as f32)
            };
            let others = both.into_iter().filter(|(id, _)| *id as usize != item + 1);
            nearest(others.map(cosine).collect(), neighbours)
        };
        let cosines = Sparse::of_rows(training.items, || occurrences.counter(), row);
        Self { cosines, window }
    }
}

/// The `count` largest, of equal ones the first, in the order given.
fn nearest(mut row: Vec<(u32, f32)>, count: usize) -> Vec<(u32, f32)> {
    if row.len() > count {
        row.sort_unstable_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        row.truncate(count);
        row.sort_unstable_by_key(|(id, _)| *id);
    }
    row
}

impl Scorer for ItemKnn {
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
        row_by_row(histories, scores, |history, row| {
            let first = self.window.map_or(0, |window| history.len().saturating_sub(window));
            for id in distinct(&history[first..]) {
                for (item, cosine) in self.cosines.row(id as usize - 1) {
                    row[item as usize] += f64::from(cosine);
                }
            }
        });
        Ok(())
    }
}
