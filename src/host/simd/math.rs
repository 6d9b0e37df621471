//! Exponential, logarithm and arc tangent over lanes, correct to about one unit in the last place.

use super::Lanes;

/// eˣ for x ≤ 88; exactly 0 below −87, also for −∞; not a number where x is none.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn exp<V: Lanes>(x: V) -> V {
    // x = n·ln 2 + r with |r| ≤ ln 2 / 2, ln 2 in two parts so that r is exact; the polynomial is
    // Cephes' for eʳ.
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const TERMS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // SAFETY: the caller's.
    unsafe {
        let (low, one) = (V::splat(-87.0), V::splat(1.0));
        let at = V::splat(88.0).min(low.max(x));
        let n = at.mul(V::splat(LOG2_E)).round();
        let r = n.mul_add(V::splat(-LN2_HIGH), at);
        let r = n.mul_add(V::splat(-LN2_LOW), r);
        let mut sum = V::splat(TERMS[0]);
        for term in &TERMS[1..] {
            sum = sum.mul_add(r, V::splat(*term));
        }
        let value = sum.mul_add(r.mul(r), r.add(one)).mul(n.power_of_two());
        V::if_greater(low, x, V::splat(0.0), value)
    }
}

/// From z = e^−|d|: ln(1 + z), to full relative precision also for tiny z, and 1 / (1 + z).
///
/// # Safety
/// As [`Lanes`]; 0 ≤ z ≤ 1.
#[inline(always)]
pub unsafe fn log1p_and_inverse<V: Lanes>(z: V) -> (V, V) {
    // ln(1 + z) = 2·artanh(s), s = z / (2 + z) ≤ 1/3. Both quotients come from one division.
    // SAFETY: the caller's.
    unsafe {
        let (one, two) = (V::splat(1.0), V::splat(2.0));
        let (plus_one, plus_two) = (z.add(one), z.add(two));
        let quotient = one.div(plus_one.mul(plus_two));
        let inverse = plus_two.mul(quotient);
        let s = z.mul(plus_one).mul(quotient);
        let square = s.mul(s);
        let mut sum = V::splat(2.0 / 15.0);
        for term in [2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
            sum = sum.mul_add(square, V::splat(term));
        }
        let log = sum.mul(square).mul_add(s, two.mul(s));
        (log, inverse)
    }
}

/// ln x to an absolute error of some 1e-7·max(1, |ln x|).
///
/// # Safety
/// As [`Lanes`]; 1e-37 ≤ x, x is finite.
#[inline(always)]
pub unsafe fn ln<V: Lanes>(x: V) -> V {
    // x = 2ⁿ·(1 + z) with 0 ≤ z < 1.
    // SAFETY: the caller's.
    unsafe {
        let n = x.exponent();
        let z = x.mul(V::splat(0.0).sub(n).power_of_two()).sub(V::splat(1.0));
        n.mul_add(V::splat(std::f32::consts::LN_2), log1p_and_inverse(z).0)
    }
}

/// The angle whose tangent is x, which may be infinite.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn atan<V: Lanes>(x: V) -> V {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    // With y = |x|: π/2 − atan(1/y) above tan(3π/8), π/4 + atan((y − 1)/(y + 1)) above tan(π/8); for
    // what is left, atan y = y + y³·P(y²), P by least squares.
    const HIGH: f32 = 2.414_213_6;
    const LOW: f32 = 0.414_213_57;
    const TERMS: [f32; 5] = [-0.06092335, 0.10600012, -0.14244486, 0.19998531, -0.33333316];
    // SAFETY: the caller's.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let (high, low) = (V::splat(HIGH), V::splat(LOW));
        let y = zero.sub(x).max(x);
        let choose = |far: V, near: V, rest: V| {
            V::if_greater(y, high, far, V::if_greater(y, low, near, rest))
        };
        let over = choose(V::splat(-1.0), y.sub(one), y);
        let under = choose(y, y.add(one), one);
        let offset = choose(V::splat(FRAC_PI_2), V::splat(FRAC_PI_4), zero);
        let r = over.div(under);
        let square = r.mul(r);
        let mut sum = V::splat(TERMS[0]);
        for term in &TERMS[1..] {
            sum = sum.mul_add(square, V::splat(*term));
        }
        let angle = offset.add(sum.mul(square).mul_add(r, r));
        V::if_greater(zero, x, zero.sub(angle), angle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::simd::{levels, vectorised};

    #[inline(always)]
    unsafe fn both<V: Lanes>(x: &[f32], out: &mut [[f32; 3]]) {
        let mut place = [0.0; 16];
        for (x, out) in x.iter().zip(out) {
            // SAFETY: `place` holds the widest register.
            unsafe {
                let z = exp(V::splat(*x));
                let (log, inverse) = log1p_and_inverse(z.min(V::splat(1.0)));
                for (value, out) in [z, log, inverse].into_iter().zip(out) {
                    value.store(place.as_mut_ptr());
                    *out = place[V::N - 1];
                }
            }
        }
    }
    vectorised! { unsafe fn run(x: &[f32], out: &mut [[f32; 3]]) = both }

    #[test]
    fn they_are_right_to_some_units_in_the_last_place() {
        let x: Vec<f32> = (-86_999..=87_999).map(|i| i as f32 * 1e-3).collect();
        for level in levels() {
            let mut out = vec![[0.0; 3]; x.len()];
            // SAFETY: the level is one of this machine's.
            unsafe { run(level, &x, &mut out) };
            for (x, [z, log, inverse]) in x.iter().zip(&out) {
                let exact = f64::from(*x).exp();
                assert!((f64::from(*z) / exact - 1.0).abs() < 4e-7, "e^{x} = {z} ({level:?})");
                let exact = f64::from(z.min(1.0));
                assert!((f64::from(*log) / exact.ln_1p() - 1.0).abs() < 4e-7, "{x} {log}");
                assert!((f64::from(*inverse) * (1.0 + exact) - 1.0).abs() < 4e-7, "{x} {inverse}");
            }
            let mut ends = [[1.0; 3]; 2];
            // SAFETY: as above.
            unsafe { run(level, &[f32::NEG_INFINITY, -100.0], &mut ends) };
            assert_eq!(ends, [[0.0, 0.0, 1.0]; 2]);
            // SAFETY: as above.
            unsafe { run(level, &[f32::NAN], &mut ends) };
            assert!(ends[0][0].is_nan());
        }
    }

    #[inline(always)]
    unsafe fn logarithm_and_angle<V: Lanes>(x: &[f32], out: &mut [[f32; 2]]) {
        let mut place = [0.0; 16];
        for (x, out) in x.iter().zip(out) {
            // SAFETY: `place` holds the widest register.
            unsafe {
                let whole = V::splat(*x).max(V::splat(1e-37));
                for (value, out) in [ln(whole), atan(V::splat(*x))].into_iter().zip(out) {
                    value.store(place.as_mut_ptr());
                    *out = place[V::N - 1];
                }
            }
        }
    }
    vectorised! { unsafe fn run_others(x: &[f32], out: &mut [[f32; 2]]) = logarithm_and_angle }

    #[test]
    fn logarithms_and_angles_are_right() {
        let steps = (1..=80_000).map(|i| i as f32 * 1e-3);
        let x: Vec<f32> = steps.chain((-37..38).map(|i| 10f32.powi(i))).collect();
        for level in levels() {
            for sign in [1.0f32, -1.0] {
                let x: Vec<f32> = x.iter().map(|x| sign * x).collect();
                let mut out = vec![[0.0; 2]; x.len()];
                // SAFETY: the level is one of this machine's.
                unsafe { run_others(level, &x, &mut out) };
                for (x, [log, angle]) in x.iter().zip(&out) {
                    let exact = f64::from(x.max(1e-37)).ln();
                    let off = (f64::from(*log) - exact).abs() / exact.abs().max(1.0);
                    assert!(off < 4e-7, "ln {x} = {log} ({level:?})");
                    let exact = f64::from(*x).atan();
                    assert!((f64::from(*angle) / exact - 1.0).abs() < 4e-7, "{x} {angle}");
                }
            }
            let mut ends = [[0.0; 2]; 2];
            // SAFETY: as above.
            unsafe { run_others(level, &[f32::NEG_INFINITY, f32::NAN], &mut ends) };
            assert_eq!(ends[0][1], -std::f32::consts::FRAC_PI_2);
            assert!(ends[1][1].is_nan());
        }
    }
}
