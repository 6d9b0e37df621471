//! Vectors of features, added to those of items, and gradients of the features' vectors back from
//! theirs.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::simd::{self, Lanes, Level, One, vectorised};
use crate::device::memory;

/// Rows a task.
const ROWS: usize = 256;

/// How many rows ahead memory is asked for.
const AHEAD: usize = 12;

/// The values of some items or users.
pub struct Values<'a> {
    /// `[of + 1]`, int64: where those of each begin.
    pub starts: &'a Tensor,
    /// `[values]`, int64: rows of the values' table.
    pub codes: &'a Tensor,
    /// `[values]`: what each counts for.
    pub shares: &'a Tensor,
}

/// `[1 + of, width]`, a row of zeros and then rows `ids` of `table` `[rows, width]`, times `kept` where
/// there is such, with the vectors of their values added, which are rows of `vectors` `[values, dim]`;
/// dim ≤ width.
pub fn added(
    table: &Tensor,
    ids: &Tensor,
    kept: Option<&Tensor>,
    values: Values,
    vectors: &Tensor,
) -> Tensor {
    let (width, dim) = (table.size()[1] as usize, vectors.size()[1] as usize);
    let sums = Tensor::empty([ids.size()[0] + 1, width as i64], (Kind::Float, Device::Cpu));
    let (table, ids, vectors) = (memory::floats(table), memory::ids(ids), memory::floats(vectors));
    let kept = kept.map(memory::floats);
    let (starts, codes) = (memory::ids(values.starts), memory::ids(values.codes));
    let shares = memory::floats(values.shares);
    let level = simd::level();
    // SAFETY: made here.
    let (padding, rows) = unsafe { memory::floats_mut(&sums) }.split_at_mut(width);
    padding.fill(0.0);
    rows.par_chunks_mut(ROWS * width).zip(ids.par_chunks(ROWS)).enumerate().for_each(
        |(task, (rows, ids))| {
            let mut terms = vec![];
            for (at, (row, &id)) in rows.chunks_mut(width).zip(ids).enumerate() {
                if let Some(&id) = ids.get(at + AHEAD) {
                    let next = &table[id as usize * width..][..width];
                    next.iter().step_by(16).for_each(|x| simd::prefetch(x));
                }
                let place = task * ROWS + at;
                row.copy_from_slice(&table[id as usize * width..][..width]);
                if let Some(kept) = kept {
                    row.iter_mut().for_each(|x| *x *= kept[place]);
                }
                let own = starts[place] as usize..starts[place + 1] as usize;
                terms.clear();
                terms.extend(
                    codes[own.clone()]
                        .iter()
                        .map(|&code| code as usize)
                        .zip(shares[own].iter().copied()),
                );
                add(level, &mut row[..dim], (vectors, dim), &terms);
            }
        },
    );
    sums
}

/// Where each of so many rows stands in a list.
pub struct Places<'a> {
    pub rows: usize,
    pub of: &'a (dyn Fn(usize) -> &'a [u32] + Sync),
}

/// `[rows, dim]`: of each row the sum over its places of rows of `from` `[sources, dim or more]`, times
/// a number: `weighted` says which and which.
pub fn sum(
    places: &Places,
    from: &Tensor,
    dim: i64,
    weighted: impl Fn(usize) -> (usize, f32) + Sync,
) -> Tensor {
    let sums = Tensor::zeros([places.rows as i64, dim], (Kind::Float, Device::Cpu));
    let (width, dim) = (from.size()[1] as usize, dim as usize);
    let (from, level) = (memory::floats(from), simd::level());
    // SAFETY: made here.
    let to = unsafe { memory::floats_mut(&sums) };
    to.par_chunks_mut(ROWS * dim).enumerate().for_each(|(task, rows)| {
        let mut terms = vec![];
        for (at, row) in rows.chunks_mut(dim).enumerate() {
            terms.clear();
            let places = (places.of)(task * ROWS + at).iter();
            terms.extend(places.map(|&place| weighted(place as usize)));
            add(level, row, (from, width), &terms);
        }
    });
    sums
}

/// Adds to `to` the beginnings of rows of a matrix `[rows, width]`, each times a number.
fn add(level: Level, to: &mut [f32], (matrix, width): (&[f32], usize), terms: &[(usize, f32)]) {
    assert!(to.len() <= width);
    let rows = matrix.len() / width;
    assert!(terms.iter().all(|(row, _)| *row < rows));
    // SAFETY: all rows are the matrix's and as long as `to` at least; the machine has the level.
    unsafe { add_rows(level, to, matrix.as_ptr(), width, terms) };
}

vectorised! {
    /// # Safety
    /// Rows of `terms` are of a matrix at `matrix`, and at least as long as `to`.
    unsafe fn add_rows(
        to: &mut [f32], matrix: *const f32, width: usize, terms: &[(usize, f32)],
    ) = add_lanes
}

#[inline(always)]
unsafe fn add_lanes<V: Lanes>(
    to: &mut [f32],
    matrix: *const f32,
    width: usize,
    terms: &[(usize, f32)],
) {
    #[inline(always)]
    unsafe fn lanes<V: Lanes>(
        to: *mut f32,
        matrix: *const f32,
        width: usize,
        terms: &[(usize, f32)],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut sum = V::load(to);
            for &(row, share) in terms {
                sum = V::load(matrix.add(row * width)).mul_add(V::splat(share), sum);
            }
            sum.store(to);
        }
    }
    let (to, dim) = (to.as_mut_ptr(), to.len());
    let whole = dim - dim % V::N;
    // SAFETY: the caller's.
    unsafe {
        for at in (0..whole).step_by(V::N) {
            lanes::<V>(to.add(at), matrix.add(at), width, terms);
        }
        for at in whole..dim {
            lanes::<One>(to.add(at), matrix.add(at), width, terms);
        }
    }
}
