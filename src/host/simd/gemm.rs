//! Matrix products of the shapes of a training step: one side some tens wide, nothing packed.

use super::{Lanes, vectorised};

/// A matrix in memory: element (i, j) at `i·row + j·column`.
#[derive(Clone, Copy)]
pub struct Matrix {
    pub at: *const f32,
    pub row: usize,
    pub column: usize,
}

/// Rows of a register block: with two registers a row they fill the register file of AVX-512;
/// with AVX2's half as many registers, half as many rows.
const fn rows<V: Lanes>() -> usize {
    if V::N == 16 { 8 } else { 4 }
}

vectorised! {
    /// C = A·B, or C += A·B if `add`: A `[m, k]`, B `[k, n]` of unit column stride, C `[m, n]` of
    /// row stride `c_row`.
    ///
    /// # Safety
    /// Memory of these shapes; `n` is a multiple of 16; C overlaps neither A nor B.
    pub unsafe fn gemm(
        shape: [usize; 3],
        a: Matrix,
        b: Matrix,
        c: *mut f32,
        c_row: usize,
        add: bool,
    ) = product
}

#[inline(always)]
unsafe fn product<V: Lanes>(
    [m, n, k]: [usize; 3],
    a: Matrix,
    b: Matrix,
    c: *mut f32,
    c_row: usize,
    add: bool,
) {
    debug_assert!(n.is_multiple_of(16) && b.column == 1);
    let mut column = 0;
    while column < n {
        // A block of B that is two registers wide stays in the cache while A goes by.
        let wide = column + 2 * V::N <= n;
        let mut row = 0;
        while row < m {
            let high = row + rows::<V>() <= m;
            // SAFETY: the caller's: the block lies within the shapes.
            unsafe {
                let a = Matrix { at: a.at.add(row * a.row), ..a };
                let b = Matrix { at: b.at.add(column), ..b };
                let c = c.add(row * c_row + column);
                match (high, wide, V::N == 16) {
                    (true, true, true) => store::<V, 8, 2>(block(k, a, b), c, c_row, add),
                    (true, true, false) => store::<V, 4, 2>(block(k, a, b), c, c_row, add),
                    (true, false, true) => store::<V, 8, 1>(block(k, a, b), c, c_row, add),
                    (true, false, false) => store::<V, 4, 1>(block(k, a, b), c, c_row, add),
                    (false, true, _) => store::<V, 1, 2>(block(k, a, b), c, c_row, add),
                    (false, false, _) => store::<V, 1, 1>(block(k, a, b), c, c_row, add),
                }
            }
            row += if high { rows::<V>() } else { 1 };
        }
        column += if wide { 2 * V::N } else { V::N };
    }
}

/// A block of a product, held in registers. Each element is the sum over k in rising order of
/// terms rounded as [`Lanes::mul_add`] rounds: a function of its row of A and its column of B
/// alone.
///
/// # Safety
/// As [`gemm`] for `R` rows and `W` registers of columns.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Iterators over registers do not always stay in them.
pub unsafe fn block<V: Lanes, const R: usize, const W: usize>(
    k: usize,
    a: Matrix,
    b: Matrix,
) -> [[V; W]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sum = [[V::splat(0.0); W]; R];
        for at in 0..k {
            let line = b.at.add(at * b.row);
            let mut right = [V::splat(0.0); W];
            for w in 0..W {
                right[w] = V::load(line.add(w * V::N));
            }
            for r in 0..R {
                let left = V::splat(*a.at.add(r * a.row + at * a.column));
                for w in 0..W {
                    sum[r][w] = left.mul_add(right[w], sum[r][w]);
                }
            }
        }
        sum
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn store<V: Lanes, const R: usize, const W: usize>(
    sum: [[V; W]; R],
    c: *mut f32,
    c_row: usize,
    add: bool,
) {
    for r in 0..R {
        for w in 0..W {
            // SAFETY: the caller's.
            unsafe {
                let to = c.add(r * c_row + w * V::N);
                let value = if add { V::load(to).add(sum[r][w]) } else { sum[r][w] };
                value.store(to);
            }
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
    fn products_equal_their_definition_for_odd_shapes_and_strides() {
        let mut rng = stream(1, Purpose::Batch, 0);
        for (m, n, k) in [(1, 16, 1), (7, 32, 5), (8, 48, 32), (21, 80, 33), (16, 16, 40)] {
            let mut draw = |n| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let (b_row, c_row) = (n + 3, n + 5);
            let (a, b, c) = (draw(m * k), draw(k * b_row), draw(m * c_row));
            for level in levels() {
                for (row, column) in [(k, 1), (1, m)] {
                    for add in [false, true] {
                        let mut got = c.clone();
                        let left = Matrix { at: a.as_ptr(), row, column };
                        let right = Matrix { at: b.as_ptr(), row: b_row, column: 1 };
                        // SAFETY: the vectors have these shapes.
                        unsafe {
                            gemm(level, [m, n, k], left, right, got.as_mut_ptr(), c_row, add)
                        };
                        for at in 0..m * c_row {
                            let (i, j) = (at / c_row, at % c_row);
                            let product = (0..k)
                                .map(|p| f64::from(a[i * row + p * column] * b[p * b_row + j % n]));
                            let old = if add || j >= n { f64::from(c[at]) } else { 0.0 };
                            let sum = if j < n { product.sum::<f64>() } else { 0.0 };
                            assert!((f64::from(got[at]) - old - sum).abs() < 1e-5, "{level:?}");
                        }
                    }
                }
            }
        }
    }
}
