//! The kernels φ and their slopes over host memory, a panel of scores at a time.

use crate::config::Kernel;
use crate::loss::{EXPONENTIAL_KNEE, PSL_FLOOR};

use super::simd::math::{atan, exp, ln, log1p_and_inverse};
use super::simd::{Lanes, Level, vectorised};

/// A kernel φ with its slope φ′, as [`Kernel::apply`] defines it.
trait Phi {
    /// φ(d) and φ′(d), with the number of its shape that the kernel reads; both 0 at −∞. Where d is not a number φ is none either (the unit step
    /// aside): a diverged training must show in its loss.
    ///
    /// # Safety
    /// As [`Lanes`].
    unsafe fn at<V: Lanes>(d: V, parameter: V) -> (V, V);
}

struct UnitStep;
struct Sigmoid;
struct Hinge;
struct Exponential;
struct Softplus;
struct PslTanh;
struct PslAtan;
struct PslRelu;

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
        unsafe { exponential(d) }
    }
}

/// e^t, a straight line above the knee, and its slope.
#[inline(always)]
unsafe fn exponential<V: Lanes>(t: V) -> (V, V) {
    // SAFETY: the caller's.
    unsafe {
        let knee = V::splat(EXPONENTIAL_KNEE as f32);
        let slope = exp(knee.min(t));
        (t.sub(knee).max(V::splat(0.0)).mul_add(slope, slope), slope)
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

impl Phi for PslTanh {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, width: V) -> (V, V) {
        unsafe {
            // As the definition has it: w·(ln 2 + ln σ(x)), whose slope is 2·σ(−x).
            let (zero, two) = (V::splat(0.0), V::splat(2.0));
            let x = d.mul(two.div(width));
            let z = exp(x.min(zero.sub(x)));
            let (log, inverse) = log1p_and_inverse(z);
            let log = x.min(zero).sub(log).add(V::splat(std::f32::consts::LN_2));
            let (value, slope) = exponential(log.mul(width));
            let other = V::if_greater(x, zero, z.mul(inverse), inverse);
            (value, slope.mul(two.mul(other)))
        }
    }
}

/// max(0, base)^width and its slope in d, where w·base has the slope `rise`.
#[inline(always)]
unsafe fn power<V: Lanes>(base: V, rise: V, width: V) -> (V, V) {
    // SAFETY: the caller's.
    unsafe {
        let (zero, floor) = (V::splat(0.0), V::splat(PSL_FLOOR as f32));
        let known = floor.max(base);
        let (value, slope) = exponential(ln(known).mul(width));
        let slope = slope.mul(rise.div(known));
        let or_zero = |x| V::if_greater(floor, base, zero, x);
        (or_zero(value), or_zero(slope))
    }
}

impl Phi for PslAtan {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, width: V) -> (V, V) {
        unsafe {
            let (one, x) = (V::splat(1.0), d.div(width));
            power(one.add(atan(x)), one.div(x.mul_add(x, one)), width)
        }
    }
}

impl Phi for PslRelu {
    #[inline(always)]
    unsafe fn at<V: Lanes>(d: V, width: V) -> (V, V) {
        unsafe {
            let one = V::splat(1.0);
            power(one.add(d.div(width)), one, width)
        }
    }
}

/// Scores of a row that lie side by side: a panel is `[rows, PANEL]`.
pub const PANEL: usize = 32;

/// A sum or maximum over a row, by lane, so that no panel has to bring the lanes together.
pub type Lane = [f32; 16];

/// Puts φ′(score − positive) in place of each score of a panel, if `write`; adds to each row's Σφ
/// and Σφ′.
pub fn apply(
    level: Level,
    kernel: Kernel,
    panel: &mut [f32],
    positives: &[f32],
    parameter: f32,
    write: bool,
    sums: &mut [[Lane; 2]],
) {
    assert!(panel.len() == PANEL * positives.len() && positives.len() <= sums.len());
    // SAFETY: the level is the machine's; every row of the panel has a positive and sums.
    unsafe {
        match kernel {
            Kernel::UnitStep => pass::<UnitStep>(level, panel, positives, parameter, write, sums),
            Kernel::Sigmoid => pass::<Sigmoid>(level, panel, positives, parameter, write, sums),
            Kernel::Hinge => pass::<Hinge>(level, panel, positives, parameter, write, sums),
            Kernel::Exponential => {
                pass::<Exponential>(level, panel, positives, parameter, write, sums)
            }
            Kernel::Softplus => pass::<Softplus>(level, panel, positives, parameter, write, sums),
            Kernel::PslTanh => pass::<PslTanh>(level, panel, positives, parameter, write, sums),
            Kernel::PslAtan => pass::<PslAtan>(level, panel, positives, parameter, write, sums),
            Kernel::PslRelu => pass::<PslRelu>(level, panel, positives, parameter, write, sums),
        }
    }
}

/// Raises each row's maxima to those of a panel.
pub fn raise(level: Level, panel: &[f32], most: &mut [Lane]) {
    assert!(panel.len() <= PANEL * most.len());
    // SAFETY: the level is the machine's; every row of the panel has maxima.
    unsafe { maxima(level, panel, most) }
}

/// Puts e^(factor·(score − shift)) in place of each score of a panel; adds to each row's sum.
pub fn exponentials(
    level: Level,
    panel: &mut [f32],
    shifts: &[f32],
    factor: f32,
    sums: &mut [[Lane; 2]],
) {
    assert!(panel.len() == PANEL * shifts.len() && shifts.len() <= sums.len());
    // SAFETY: as in `apply`.
    unsafe { softmax(level, panel, shifts, factor, sums) }
}

vectorised! {
    unsafe fn pass<K: Phi>(
        panel: &mut [f32], positives: &[f32], parameter: f32, write: bool, sums: &mut [[Lane; 2]],
    ) = pass_lanes
}

#[inline(always)]
unsafe fn pass_lanes<V: Lanes, K: Phi>(
    panel: &mut [f32],
    positives: &[f32],
    parameter: f32,
    write: bool,
    sums: &mut [[Lane; 2]],
) {
    let at = panel.as_mut_ptr();
    // SAFETY: a panel's row is whole registers long, a `Lane` as long as the widest.
    unsafe {
        let parameter = V::splat(parameter);
        for (row, positive) in positives.iter().enumerate() {
            let positive = V::splat(*positive);
            let [values_at, slopes_at] = sums.get_unchecked_mut(row);
            let mut values = V::load(values_at.as_ptr());
            let mut slopes = V::load(slopes_at.as_ptr());
            for from in (row * PANEL..(row + 1) * PANEL).step_by(V::N) {
                let (value, slope) = K::at(V::load(at.add(from)).sub(positive), parameter);
                values = values.add(value);
                slopes = slopes.add(slope);
                if write {
                    slope.store(at.add(from));
                }
            }
            values.store(values_at.as_mut_ptr());
            slopes.store(slopes_at.as_mut_ptr());
        }
    }
}

vectorised! { unsafe fn maxima(panel: &[f32], most: &mut [Lane]) = maxima_lanes }

#[inline(always)]
unsafe fn maxima_lanes<V: Lanes>(panel: &[f32], most: &mut [Lane]) {
    // SAFETY: as above.
    unsafe {
        for (row, most) in panel.chunks_exact(PANEL).zip(most) {
            let mut lanes = V::load(most.as_ptr());
            for from in (0..PANEL).step_by(V::N) {
                lanes = lanes.max(V::load(row.as_ptr().add(from)));
            }
            lanes.store(most.as_mut_ptr());
        }
    }
}

vectorised! {
    unsafe fn softmax(
        panel: &mut [f32], shifts: &[f32], factor: f32, sums: &mut [[Lane; 2]],
    ) = softmax_lanes
}

#[inline(always)]
unsafe fn softmax_lanes<V: Lanes>(
    panel: &mut [f32],
    shifts: &[f32],
    factor: f32,
    sums: &mut [[Lane; 2]],
) {
    // SAFETY: as above.
    unsafe {
        let factor = V::splat(factor);
        for ((row, shift), [sum, _]) in panel.chunks_exact_mut(PANEL).zip(shifts).zip(sums) {
            let shift = V::splat(*shift);
            let mut lanes = V::load(sum.as_ptr());
            for from in (0..PANEL).step_by(V::N) {
                let at = row.as_mut_ptr().add(from);
                let value = exp(V::load(at).sub(shift).mul(factor));
                lanes = lanes.add(value);
                value.store(at);
            }
            lanes.store(sum.as_mut_ptr());
        }
    }
}
