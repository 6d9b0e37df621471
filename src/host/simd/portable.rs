//! Lanes on any machine: arrays that the compiler turns into what vector instructions there are,
//! and one lane for what is left of a row that no register fills.

use super::Lanes;

/// `L` numbers.
#[derive(Clone, Copy)]
pub struct Array<const L: usize>([f32; L]);

/// The lanes of the plain instruction set.
pub type Portable = Array<8>;

/// One lane. Used within loops of wider ones it rounds as the plain instruction set does.
pub type One = Array<1>;

impl<const L: usize> Array<L> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// What every function's caller vouches for: pointers are valid.
#[allow(unsafe_op_in_unsafe_fn)]
impl<const L: usize> Lanes for Array<L> {
    const N: usize = L;
    type Count = [u32; L];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; L])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(from.cast::<[f32; L]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; L]>().write_unaligned(self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Adding and taking away 1.5·2²³ rounds to a whole number, for all |x| < 2²².
        const SHIFT: f32 = 12_582_912.0;
        Self(self.0.map(|x| (x + SHIFT) - SHIFT))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        Self(self.0.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32)))
    }
    #[inline(always)]
    unsafe fn exponent(self) -> Self {
        Self(self.0.map(|x| (x.to_bits() >> 23) as f32 - 127.0))
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self, b: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if a.0[i] > b.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.0.iter().sum()
    }
    #[inline(always)]
    unsafe fn no_count() -> [u32; L] {
        [0; L]
    }
    #[inline(always)]
    unsafe fn mask_ge(self, other: Self) -> u32 {
        let bit = |i: usize| u32::from(self.0[i] >= other.0[i]) << i;
        (0..L).map(bit).sum()
    }
    #[inline(always)]
    unsafe fn count_ge(self, other: Self, count: [u32; L]) -> [u32; L] {
        std::array::from_fn(|i| count[i] + u32::from(self.0[i] >= other.0[i]))
    }
    #[inline(always)]
    unsafe fn total(count: [u32; L]) -> u32 {
        count.iter().sum()
    }
}
