//! Matrices whose rows are whole registers long, and weighted sums of some of their rows.

use std::slice;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::simd::{self, Aligned, Lanes, Level, vectorised};
use super::unit::inverse_length;
use crate::device::memory;

/// Rows a task.
const TASK: usize = 64;

/// How many rows ahead memory is asked for.
const AHEAD: usize = 8;

/// A matrix whose rows are padded with zeros to whole registers.
#[derive(Default)]
pub struct PaddedRows {
    values: Aligned,
    rows: usize,
    dim: usize,
    wide: usize,
}

impl PaddedRows {
    /// Makes room for `rows` rows of `dim` numbers; what stands there before is of no meaning, but
    /// the padding is 0.
    pub fn fit(&mut self, rows: usize, dim: usize) {
        let wide = dim.next_multiple_of(16);
        if (dim, wide) != (self.dim, self.wide) {
            self.values.clear();
        }
        self.values.resize(rows * wide);
        (self.rows, self.dim, self.wide) = (rows, dim, wide);
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// The length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The length of a row, padding included.
    pub fn wide(&self) -> usize {
        self.wide
    }

    /// A row, padding included.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.wide..][..self.wide]
    }

    /// Where row `at` begins; the later ones follow.
    pub fn start_of(&self, at: usize) -> *const f32 {
        self.values[at * self.wide..].as_ptr()
    }

    /// Copies the rows `ids` of a table `[rows, dim]`, `ids.len()` of them.
    pub fn gather(&mut self, table: &[f32], dim: usize, ids: &[i64]) {
        self.fit(ids.len(), dim);
        let wide = self.wide;
        self.values.par_chunks_mut(TASK * wide).zip(ids.par_chunks(TASK)).for_each(|(to, ids)| {
            for (at, (to, &id)) in to.chunks_exact_mut(wide).zip(ids).enumerate() {
                if let Some(&ahead) = ids.get(at + AHEAD) {
                    prefetch(&table[ahead as usize * dim..][..dim]);
                }
                to[..dim].copy_from_slice(&table[id as usize * dim..][..dim]);
            }
        });
    }

    /// Copies a matrix `[rows, dim]`, times `factor`.
    pub fn copy(&mut self, matrix: &[f32], dim: usize, factor: f32) {
        self.fit(matrix.len() / dim, dim);
        let rows = self.values.chunks_exact_mut(self.wide).zip(matrix.chunks_exact(dim));
        for (to, from) in rows {
            to.iter_mut().zip(from).for_each(|(to, x)| *to = factor * x);
        }
    }

    /// Brings rows to unit length, with ε beside the squared length; returns what each was
    /// multiplied with.
    pub fn normalize(&mut self, level: Level, epsilon: f32) -> Vec<f32> {
        let unit = |row: &mut [f32]| {
            // SAFETY: the level is the machine's.
            let inverse = inverse_length(unsafe { dot(level, row, row) }, epsilon);
            row.iter_mut().for_each(|x| *x *= inverse);
            inverse
        };
        self.values.par_chunks_mut(self.wide).with_min_len(TASK).map(unit).collect()
    }

    /// ∂x of y = unit(x) in place of ∂y: row `r` is of row `slots[r]` of `units`, which was
    /// multiplied with its `inverse`.
    pub fn through_unit(
        &mut self,
        level: Level,
        units: &PaddedRows,
        slots: &[u32],
        inverse: &[f32],
    ) {
        let wide = self.wide;
        let rows = self.values.par_chunks_mut(wide).zip(slots).with_min_len(TASK);
        rows.for_each(|(row, &slot)| {
            let unit = units.row(slot as usize);
            // SAFETY: the level is the machine's, rows are as wide as each other.
            let along = unsafe { dot(level, row, unit) };
            for (g, y) in row.iter_mut().zip(unit) {
                *g = inverse[slot as usize] * (*g - y * along);
            }
        });
    }

    /// `[rows, dim]`
    pub fn to_tensor(&self) -> Tensor {
        let size = [self.rows as i64, self.dim as i64];
        let tensor = Tensor::empty(size, (Kind::Float, Device::Cpu));
        if tensor.numel() == 0 {
            return tensor;
        }
        // SAFETY: nobody else knows it yet.
        let to = unsafe { memory::floats_mut(&tensor) };
        let rows = to.par_chunks_exact_mut(self.dim).zip(self.values.par_chunks_exact(self.wide));
        rows.with_min_len(TASK).for_each(|(to, row)| to.copy_from_slice(&row[..self.dim]));
        tensor
    }

    /// Copies the rows `slots` of another.
    pub fn pick(&mut self, from: &PaddedRows, slots: &[i64]) {
        self.fit(slots.len(), from.dim);
        let wide = self.wide;
        let rows = self.values.par_chunks_exact_mut(wide).zip(slots).with_min_len(TASK);
        rows.for_each(|(to, &slot)| to.copy_from_slice(from.row(slot as usize)));
    }

    /// `rows` rows of `dim` zeros.
    pub fn clear(&mut self, rows: usize, dim: usize) {
        self.fit(rows, dim);
        self.values.par_chunks_mut(TASK * self.wide).for_each(|rows| rows.fill(0.0));
    }

    /// Some rows at a time, padding included.
    pub fn chunks_mut(&mut self, rows: usize) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        self.values.par_chunks_mut(rows * self.wide)
    }

    /// `to` becomes factor·Σ weight·row over the terms (row, weight).
    pub fn weighted(&self, level: Level, terms: &[(u32, f32)], factor: f32, to: &mut [f32]) {
        assert!(to.len() == self.wide && terms.iter().all(|term| (term.0 as usize) < self.rows));
        // SAFETY: the level is the machine's, rows are within `self` and as wide as `to`.
        unsafe { weighted_sum(level, self.values.as_ptr(), terms, factor, to) };
    }

    /// `to` becomes the inner products of `vector` with the rows `slots`, each as [`dot`] has it.
    pub fn products(&self, level: Level, vector: &[f32], slots: &[i64], to: &mut [f32]) {
        assert!(vector.len() == self.wide && slots.len() == to.len());
        assert!(slots.iter().all(|&slot| (slot as usize) < self.rows));
        // SAFETY: the level is the machine's, rows are within `self` and as wide as `vector`.
        unsafe { row_products(level, self.values.as_ptr(), vector, slots, to) };
    }

    /// Row `r` becomes Σ weight·row of `from` over the `terms` (row, weight) of `r`.
    pub fn combine<'a>(
        &mut self,
        level: Level,
        from: &PaddedRows,
        terms: impl Fn(usize) -> &'a [(u32, f32)] + Sync,
    ) {
        let wide = self.wide;
        let rows = self.values.par_chunks_exact_mut(wide).enumerate().with_min_len(TASK);
        rows.for_each(|(row, to)| from.weighted(level, terms(row), 1.0, to));
    }
}

#[inline(always)]
fn prefetch(row: &[f32]) {
    row.iter().step_by(16).for_each(|x| simd::prefetch(x));
}

vectorised! {
    /// The inner product of two rows of whole registers, the same for the same rows.
    pub unsafe fn dot(a: &[f32], b: &[f32]) -> f32 = dot_lanes
}

#[inline(always)]
unsafe fn dot_lanes<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    debug_assert!(a.len() == b.len() && a.len().is_multiple_of(16));
    // SAFETY: the caller's.
    unsafe {
        let mut sum = V::splat(0.0);
        for at in (0..a.len()).step_by(V::N) {
            sum = V::load(a.as_ptr().add(at)).mul_add(V::load(b.as_ptr().add(at)), sum);
        }
        sum.sum()
    }
}

vectorised! {
    /// to = the products of `vector` with rows of its length at `from`.
    unsafe fn row_products(
        from: *const f32, vector: &[f32], slots: &[i64], to: &mut [f32],
    ) = product_lanes
}

#[inline(always)]
unsafe fn product_lanes<V: Lanes>(from: *const f32, vector: &[f32], slots: &[i64], to: &mut [f32]) {
    // SAFETY: the caller's.
    let row = |slot: i64| unsafe {
        slice::from_raw_parts(from.add(slot as usize * vector.len()), vector.len())
    };
    for (place, (to, &slot)) in to.iter_mut().zip(slots).enumerate() {
        if let Some(&ahead) = slots.get(place + AHEAD) {
            prefetch(row(ahead));
        }
        // SAFETY: the caller's.
        *to = unsafe { dot_lanes::<V>(vector, row(slot)) };
    }
}

vectorised! {
    /// to = factor·Σ weight·row over rows of `to`'s length at `from`.
    unsafe fn weighted_sum(
        from: *const f32, terms: &[(u32, f32)], factor: f32, to: &mut [f32],
    ) = weighted_lanes
}

#[inline(always)]
unsafe fn weighted_lanes<V: Lanes>(
    from: *const f32,
    terms: &[(u32, f32)],
    factor: f32,
    to: &mut [f32],
) {
    /// `W` registers of the sum, from number `at` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // Iterators over registers do not always stay in them.
    unsafe fn part<V: Lanes, const W: usize>(
        from: *const f32,
        terms: &[(u32, f32)],
        factor: f32,
        to: &mut [f32],
        at: usize,
    ) {
        let wide = to.len();
        // SAFETY: the caller's.
        unsafe {
            let mut sum = [V::splat(0.0); W];
            for (place, &(row, weight)) in terms.iter().enumerate() {
                if let Some(&(ahead, _)) = terms.get(place + AHEAD) {
                    let ahead = from.add(ahead as usize * wide + at);
                    for w in 0..W {
                        simd::prefetch(ahead.add(w * V::N));
                    }
                }
                let row = from.add(row as usize * wide + at);
                let weight = V::splat(weight);
                for w in 0..W {
                    sum[w] = weight.mul_add(V::load(row.add(w * V::N)), sum[w]);
                }
            }
            for w in 0..W {
                sum[w].mul(V::splat(factor)).store(to.as_mut_ptr().add(at + w * V::N));
            }
        }
    }
    let mut at = 0;
    // SAFETY: the caller's.
    unsafe {
        while at + 8 * V::N <= to.len() {
            part::<V, 8>(from, terms, factor, to, at);
            at += 8 * V::N;
        }
        while at + 2 * V::N <= to.len() {
            part::<V, 2>(from, terms, factor, to, at);
            at += 2 * V::N;
        }
        while at < to.len() {
            part::<V, 1>(from, terms, factor, to, at);
            at += V::N;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::simd::levels;
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn weighted_sums_and_products_equal_their_definitions() {
        let mut rng = stream(1, Purpose::Batch, 0);
        for dim in [1usize, 16, 33, 200] {
            let table: Vec<f32> = (0..40 * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            let table = Tensor::from_slice(&table).view([40, dim as i64]);
            let ids: Vec<i64> = (0..30).map(|_| rng.random_range(0..40)).collect();
            let mut rows = PaddedRows::default();
            rows.gather(memory::floats(&table), dim, &ids);
            let gathered = table.index_select(0, &Tensor::from_slice(&ids));
            assert_eq!(rows.to_tensor(), gathered);
            let weights = Tensor::rand([70, 30], (Kind::Float, Device::Cpu)) - 0.5;
            let flat = memory::floats(&weights).to_vec();
            for level in levels() {
                let mut sums = PaddedRows::default();
                sums.fit(70, dim);
                let terms: Vec<(u32, f32)> =
                    flat.iter().enumerate().map(|(at, w)| ((at % 30) as u32, *w)).collect();
                sums.combine(level, &rows, |row| &terms[row * 30..][..30]);
                let expected = weights.matmul(&gathered);
                assert!(sums.to_tensor().allclose(&expected, 1e-4, 1e-5, false), "{level:?}");
                let mut twice = vec![0.0; sums.wide()];
                rows.weighted(level, &terms[..30], 2.0, &mut twice);
                assert!(twice.iter().zip(sums.row(0)).all(|(a, b)| (a - 2.0 * b).abs() < 1e-5));
                let slots: Vec<i64> = (0..29).rev().chain([3, 3]).collect();
                let mut products = vec![0.0; slots.len()];
                rows.products(level, rows.row(3), &slots, &mut products);
                for (&slot, product) in slots.iter().zip(products) {
                    let expected = gathered.get(3).dot(&gathered.get(slot)).double_value(&[]);
                    assert!((f64::from(product) - expected).abs() < 2e-5, "{level:?}");
                    // SAFETY: a level of this machine.
                    let alone = unsafe { dot(level, rows.row(3), rows.row(slot as usize)) };
                    assert_eq!(product, alone, "{level:?}");
                }
            }
        }
    }
}
