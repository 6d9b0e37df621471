//! Sixteen lanes.

use std::arch::x86_64::*;

use super::Lanes;

/// An AVX-512 register.
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

// What every function's caller vouches for: the machine has AVX-512F, pointers are valid.
#[allow(unsafe_op_in_unsafe_fn)]
impl Lanes for Avx512 {
    const N: usize = 16;
    type Count = __m512i;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm512_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm512_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm512_div_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, b.0, c.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm512_sqrt_ps(self.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm512_max_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm512_min_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
        Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn exponent(self) -> Self {
        Self(_mm512_getexp_ps(self.0))
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self, b: Self, yes: Self, no: Self) -> Self {
        Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a.0, b.0), no.0, yes.0))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        _mm512_reduce_add_ps(self.0)
    }
    #[inline(always)]
    unsafe fn no_count() -> __m512i {
        _mm512_setzero_si512()
    }
    #[inline(always)]
    unsafe fn mask_ge(self, other: Self) -> u32 {
        u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn count_ge(self, other: Self, count: __m512i) -> __m512i {
        let mask = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0);
        _mm512_mask_add_epi32(count, mask, count, _mm512_set1_epi32(1))
    }
    #[inline(always)]
    unsafe fn total(count: __m512i) -> u32 {
        _mm512_reduce_add_epi32(count) as u32
    }
}
