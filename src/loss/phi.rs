//! The kernels φ and their slopes over host memory: one pass over a row of scores.

use crate::config::Kernel;
use crate::simd::math::{exp, log1p_and_inverse};
use crate::simd::{Lanes, Level, vectorised};

use super::kernel::EXPONENTIAL_KNEE;

/// A kernel φ with its slope φ′, as [`Kernel::apply`] defines it.
trait Phi {
    /// φ(d) and φ′(d); both 0 at −∞. Where d is not a number φ is none either (the unit step
    /// aside): a diverged training must show in its loss.
    ///
    /// # Safety
    /// As [`Lanes`].
    unsafe fn at<V: Lanes>(d: V, margin: V) -> (V, V);
}

struct UnitStep;
struct Sigmoid;
struct Hinge;
struct Exponential;
struct Softplus;

impl Phi for UnitStep {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, _: V) -> (V, V) {
        // SAFETY: the caller's, here and below.
        unsafe {
            let zero = V::splat(0.0);
            (V::if_greater(d, zero, V::splat(1.0), zero), zero)
        }
    }
}

impl Phi for Sigmoid {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, _: V) -> (V, V) {
        unsafe {
            let zero = V::splat(0.0);
            let z = exp(d.min(zero.sub(d)));
            let inverse = V::splat(1.0).div(V::splat(1.0).add(z));
            let tail = z.mul(inverse);
            (V::if_greater(d, zero, inverse, tail), tail.mul(inverse))
        }
    }
}

impl Phi for Hinge {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, margin: V) -> (V, V) {
        unsafe {
            let (zero, value) = (V::splat(0.0), d.add(margin));
            (zero.max(value), V::if_greater(value, zero, V::splat(1.0), zero))
        }
    }
}

impl Phi for Exponential {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, _: V) -> (V, V) {
        unsafe {
            let knee = V::splat(EXPONENTIAL_KNEE as f32);
            let slope = exp(knee.min(d));
            (d.sub(knee).max(V::splat(0.0)).mul_add(slope, slope), slope)
        }
    }
}

impl Phi for Softplus {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, _: V) -> (V, V) {
        unsafe {
            let zero = V::splat(0.0);
            let z = exp(d.min(zero.sub(d)));
            let (log, inverse) = log1p_and_inverse(z);
            (d.max(zero).add(log), V::if_greater(d, zero, inverse, z.mul(inverse)))
        }
    }
}

/// Puts φ′(score − positive) in place of each score; returns Σφ and Σφ′.
pub fn drive(
    level: Level,
    kernel: Kernel,
    row: &mut [f32],
    positive: f32,
    margin: f32,
) -> [f32; 2] {
    // SAFETY: the level is the machine's; the pass stays within the row.
    unsafe {
        match kernel {
            Kernel::UnitStep => pass::<UnitStep>(level, row, positive, margin, true),
            Kernel::Sigmoid => pass::<Sigmoid>(level, row, positive, margin, true),
            Kernel::Hinge => pass::<Hinge>(level, row, positive, margin, true),
            Kernel::Exponential => pass::<Exponential>(level, row, positive, margin, true),
            Kernel::Softplus => pass::<Softplus>(level, row, positive, margin, true),
        }
    }
}

/// Σφ; the scores stay.
pub fn count(level: Level, kernel: Kernel, row: &mut [f32], positive: f32, margin: f32) -> f32 {
    // SAFETY: as above.
    let [sum, _] = unsafe {
        match kernel {
            Kernel::UnitStep => pass::<UnitStep>(level, row, positive, margin, false),
            Kernel::Sigmoid => pass::<Sigmoid>(level, row, positive, margin, false),
            Kernel::Hinge => pass::<Hinge>(level, row, positive, margin, false),
            Kernel::Exponential => pass::<Exponential>(level, row, positive, margin, false),
            Kernel::Softplus => pass::<Softplus>(level, row, positive, margin, false),
        }
    };
    sum
}

/// Puts e^(score − positive − top) in place of each score, where top = max(0, the largest gap);
/// returns top and the sum.
pub fn exponentials(level: Level, row: &mut [f32], positive: f32) -> [f32; 2] {
    // SAFETY: as above.
    unsafe { softmax(level, row, positive) }
}

vectorised! {
    unsafe fn pass<K: Phi>(
        row: &mut [f32], positive: f32, margin: f32, write: bool,
    ) -> [f32; 2] = pass_lanes
}

#[inline(always)]
unsafe fn pass_lanes<V: Lanes, K: Phi>(
    row: &mut [f32],
    positive: f32,
    margin: f32,
    write: bool,
) -> [f32; 2] {
    assert!(row.len().is_multiple_of(V::N));
    let at = row.as_mut_ptr();
    // SAFETY: the row is whole registers long.
    unsafe {
        let (positive, margin) = (V::splat(positive), V::splat(margin));
        let (mut values, mut slopes) = (V::splat(0.0), V::splat(0.0));
        for from in (0..row.len()).step_by(V::N) {
            let (value, slope) = K::at(V::load(at.add(from)).sub(positive), margin);
            values = values.add(value);
            slopes = slopes.add(slope);
            if write {
                slope.store(at.add(from));
            }
        }
        [values.sum(), slopes.sum()]
    }
}

vectorised! { unsafe fn softmax(row: &mut [f32], positive: f32) -> [f32; 2] = softmax_lanes }

#[inline(always)]
unsafe fn softmax_lanes<V: Lanes>(row: &mut [f32], positive: f32) -> [f32; 2] {
    assert!(row.len().is_multiple_of(V::N));
    let at = row.as_mut_ptr();
    // SAFETY: as above.
    unsafe {
        let mut most = V::splat(positive);
        for from in (0..row.len()).step_by(V::N) {
            most = most.max(V::load(at.add(from)));
        }
        let mut lanes = [positive; 16];
        most.store(lanes.as_mut_ptr());
        let most = lanes.iter().copied().fold(positive, f32::max);
        let (shift, mut sum) = (V::splat(most), V::splat(0.0));
        for from in (0..row.len()).step_by(V::N) {
            let value = exp(V::load(at.add(from)).sub(shift));
            sum = sum.add(value);
            value.store(at.add(from));
        }
        [most - positive, sum.sum()]
    }
}
