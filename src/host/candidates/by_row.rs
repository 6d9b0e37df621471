//! Gradients in scores, row by row.

/// A slope ∂s of the score of the row in `slot` at `query`.
#[derive(Clone, Copy)]
pub struct Term {
    pub slot: u32,
    pub query: u32,
    pub slope: f32,
}

/// For each row with a gradient, the queries that it comes from.
pub struct ByRow {
    /// Slots of the rows, ascending.
    pub slots: Vec<u32>,
    /// Of row `r` the terms are `terms[starts[r]..starts[r + 1]]`.
    starts: Vec<u32>,
    /// (query, ∂s)
    terms: Vec<(u32, f32)>,
}

impl ByRow {
    /// Sorts the terms of `rows` rows, keeping the order of those of one row.
    pub fn new<'a>(rows: usize, all: impl Iterator<Item = &'a Term> + Clone) -> Self {
        let mut counts = vec![0u32; rows];
        all.clone().for_each(|term| counts[term.slot as usize] += 1);
        let (mut slots, mut starts, mut next) = (vec![], vec![0], vec![0u32; rows]);
        let mut total = 0;
        for (slot, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            next[slot] = total;
            total += count;
            slots.push(slot as u32);
            starts.push(total);
        }
        let mut terms = vec![(0, 0.0); total as usize];
        for term in all {
            let place = &mut next[term.slot as usize];
            terms[*place as usize] = (term.query, term.slope);
            *place += 1;
        }
        Self { slots, starts, terms }
    }

    /// (query, ∂s) of row number `row`.
    pub fn of(&self, row: usize) -> &[(u32, f32)] {
        &self.terms[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}
