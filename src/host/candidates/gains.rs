//! What the scores of some pairs of query and slot gain beside their products.

use std::ops::Range;

/// Pairs and what each gains; the empty default: nothing does.
#[derive(Clone, Copy, Default)]
pub struct Gains<'a> {
    /// `[queries + 1]`: the pairs of query `q` are those from `starts[q]` to `starts[q + 1]`.
    pub starts: &'a [u32],
    /// `[pairs]`: ascending of each query.
    pub slots: &'a [u32],
    /// `[pairs]`
    pub values: &'a [f32],
}

impl<'a> Gains<'a> {
    fn pairs(&self, query: usize) -> Range<usize> {
        let end = self.starts.get(query + 1);
        end.map_or(0..0, |end| self.starts[query] as usize..*end as usize)
    }

    /// The pairs of a query: slots and what each gains.
    pub fn of(&self, query: usize) -> impl Iterator<Item = (u32, f32)> + use<'a> {
        let pairs = self.pairs(query);
        self.slots[pairs.clone()].iter().copied().zip(self.values[pairs].iter().copied())
    }

    /// What the score of a slot gains, where it is one that does.
    pub fn at(&self, query: usize, slot: i64) -> Option<f32> {
        let pairs = self.pairs(query);
        let place = self.slots[pairs.clone()].binary_search(&(slot as u32)).ok()?;
        Some(self.values[pairs.start + place])
    }

    /// Adds the slopes of single scores of a query, (slot, ∂s), to those of its pairs.
    pub fn add_slopes(&self, query: usize, list: &[(u32, f32)], to: &mut [f64]) {
        let slots = &self.slots[self.pairs(query)];
        if slots.is_empty() {
            return;
        }
        for (slot, slope) in list {
            if let Ok(place) = slots.binary_search(slot) {
                to[place] += f64::from(*slope);
            }
        }
    }
}
