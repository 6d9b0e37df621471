//! Sparse matrices by rows.

use std::ops::Range;

use rayon::prelude::*;

/// A matrix of which only some numbers are there, row after row (CSR).
pub struct Sparse {
    /// `[rows + 1]`: row `i` is at `offsets[i]..offsets[i + 1]` of the others.
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse {
    /// Makes the rows on all threads; each thread has a `scratch` of its own. A row is its columns
    /// and their values.
    pub fn of_rows<S>(
        rows: usize,
        scratch: impl Fn() -> S + Sync,
        row: impl Fn(&mut S, usize) -> Vec<(u32, f32)> + Sync,
    ) -> Self {
        /// Few enough pieces that making the scratch costs little, enough for every thread.
        const PIECES: usize = 64;
        let length = rows.div_ceil(PIECES).max(1);
        let piece = |first: usize| {
            let mut scratch = scratch();
            let rows = first..(first + length).min(rows);
            rows.map(|at| row(&mut scratch, at)).collect::<Vec<_>>()
        };
        let starts: Vec<usize> = (0..rows).step_by(length).collect();
        let pieces: Vec<Vec<Vec<(u32, f32)>>> = starts.into_par_iter().map(piece).collect();
        let mut all = Self { offsets: vec![0], columns: vec![], values: vec![] };
        // Piece by piece, so that what is copied goes at once.
        pieces.into_iter().flatten().for_each(|row| all.push(row));
        all
    }

    fn push(&mut self, row: Vec<(u32, f32)>) {
        for (column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.offsets.push(self.columns.len());
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many numbers of a row are there.
    pub fn length(&self, row: usize) -> usize {
        self.range(row).len()
    }

    /// The numbers of a row that are there, each with its column.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> {
        let range = self.range(row);
        self.columns[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    /// Rows and columns exchanged, of a matrix of `columns` columns.
    pub fn transposed(&self, columns: usize) -> Self {
        let mut offsets = vec![0; columns + 1];
        self.columns.iter().for_each(|&column| offsets[column as usize + 1] += 1);
        (0..columns).for_each(|column| offsets[column + 1] += offsets[column]);
        let mut next = offsets.clone();
        let mut to = vec![0; self.columns.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.rows() {
            for (column, value) in self.row(row) {
                let place = &mut next[column as usize];
                (to[*place], values[*place]) = (row as u32, value);
                *place += 1;
            }
        }
        Self { offsets, columns: to, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_that_were_made_and_transposed_twice_they_are_the_same() {
        for rows in [0, 1, 5, 200] {
            let made = |at: usize| -> Vec<(u32, f32)> {
                (0..7)
                    .filter(|c| (at + c).is_multiple_of(3))
                    .map(|c| (c as u32, (at + c) as f32))
                    .collect()
            };
            let matrix = Sparse::of_rows(rows, || (), |(), at| made(at));
            assert_eq!(matrix.rows(), rows);
            let other = matrix.transposed(7);
            let again = other.transposed(rows);
            for at in 0..rows {
                assert_eq!(matrix.row(at).collect::<Vec<_>>(), made(at));
                assert_eq!(again.row(at).collect::<Vec<_>>(), made(at));
                assert_eq!(matrix.length(at), made(at).len());
            }
            let expected: Vec<(u32, f32)> = (0..rows)
                .filter(|at| (at + 2).is_multiple_of(3))
                .map(|at| (at as u32, at as f32 + 2.0))
                .collect();
            assert_eq!(other.row(2).collect::<Vec<_>>(), expected);
        }
    }
}
