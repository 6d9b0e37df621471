//! Eight lanes.

use std::arch::x86_64::*;

use super::Lanes;

/// An AVX register.
#[derive(Clone, Copy)]
pub struct Avx2(__m256);

// What every function's caller vouches for: the machine has AVX2 and FMA, pointers are valid.
#[allow(unsafe_op_in_unsafe_fn)]
impl Lanes for Avx2 {
    const N: usize = 8;
    type Count = __m256i;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm256_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm256_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm256_div_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, b.0, c.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm256_sqrt_ps(self.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm256_max_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm256_min_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
        Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn exponent(self) -> Self {
        let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(self.0));
        Self(_mm256_cvtepi32_ps(_mm256_sub_epi32(exponent, _mm256_set1_epi32(127))))
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self, b: Self, yes: Self, no: Self) -> Self {
        Self(_mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0)))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        _mm256_storeu_ps(lanes.as_mut_ptr(), self.0);
        lanes.iter().sum()
    }
    #[inline(always)]
    unsafe fn no_count() -> __m256i {
        _mm256_setzero_si256()
    }
    #[inline(always)]
    unsafe fn mask_ge(self, other: Self) -> u32 {
        _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0)) as u32
    }
    #[inline(always)]
    unsafe fn count_ge(self, other: Self, count: __m256i) -> __m256i {
        // A true comparison is −1.
        let mask = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0));
        _mm256_sub_epi32(count, mask)
    }
    #[inline(always)]
    unsafe fn total(count: __m256i) -> u32 {
        let mut lanes = [0u32; 8];
        _mm256_storeu_si256(lanes.as_mut_ptr().cast(), count);
        lanes.iter().sum()
    }
}
