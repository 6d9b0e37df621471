//! Vector instructions for the loops over host memory: each loop is written once, over [`Lanes`],
//! compiled for AVX-512, AVX2 and the plain instruction set, and the best that the machine has is
//! taken at run time.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod gemm;
pub mod math;
mod portable;

pub use aligned::Aligned;
#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use gemm::{Matrix, block, gemm};
pub use portable::{One, Portable};

/// A register of float32 numbers.
///
/// # Safety
/// Every function asks for the instruction set of its implementation, and runs fast only where it
/// is inlined into a function compiled for that set: see `vectorised`. Pointers are to
/// [`Lanes::N`] numbers, of any alignment.
#[allow(clippy::missing_safety_doc)]
pub trait Lanes: Copy {
    /// Numbers in a register.
    const N: usize;
    /// A whole number for each lane.
    type Count: Copy;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// self·b + c; rounded once where the instruction set can. All widths of one machine round
    /// alike, so a sum of such terms is the same in whichever lane it is taken.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// The larger; `other` where either is not a number. `min` likewise.
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// The nearest whole number.
    unsafe fn round(self) -> Self;
    /// 2ⁿ of a whole number n in −126..=127.
    unsafe fn power_of_two(self) -> Self;
    /// ⌊log₂ x⌋ of a normal x above 0.
    unsafe fn exponent(self) -> Self;
    /// a > b ? yes : no
    unsafe fn if_greater(a: Self, b: Self, yes: Self, no: Self) -> Self;
    /// The sum of the lanes.
    unsafe fn sum(self) -> f32;
    /// No count in any lane.
    unsafe fn no_count() -> Self::Count;
    /// Bit i, the lowest 0: whether lane i of self is at least that of other.
    unsafe fn mask_ge(self, other: Self) -> u32;
    /// One more in each lane where self ≥ other.
    unsafe fn count_ge(self, other: Self, count: Self::Count) -> Self::Count;
    /// The sum of the lanes' counts.
    unsafe fn total(count: Self::Count) -> u32;
}

/// What the machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Portable,
    Avx2,
    Avx512,
}

/// The best level of this machine.
pub fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let fma = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma");
        if fma && std::arch::is_x86_feature_detected!("avx512f") {
            return Level::Avx512;
        }
        if fma {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// Makes `name(level, arguments)` from `body::<V>(arguments)`, generic over [`Lanes`] and marked
/// `#[inline(always)]`: compiled for each level, chosen at run time.
///
/// The made function is unsafe as `body` is, and because the level must not be above the
/// machine's: pass [`level()`] or [`Level::Portable`].
macro_rules! vectorised {
    (
        $(#[$doc:meta])*
        $vis:vis unsafe fn $name:ident $(<$kernel:ident: $bound:path>)? (
            $($arg:ident: $type:ty),* $(,)?
        ) $(-> $result:ty)? = $body:ident
    ) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name $(<$kernel: $bound>)? (
            level: $crate::host::simd::Level, $($arg: $type),*
        ) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512 $(<$kernel: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: as this function's.
                unsafe { $body::<$crate::host::simd::Avx512 $(, $kernel)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2 $(<$kernel: $bound>)? ($($arg: $type),*) $(-> $result)? {
                // SAFETY: as this function's.
                unsafe { $body::<$crate::host::simd::Avx2 $(, $kernel)?>($($arg),*) }
            }
            // SAFETY: the caller vouches for the level and for what `body` asks.
            unsafe {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    $crate::host::simd::Level::Avx512 => avx512 $(::<$kernel>)? ($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::host::simd::Level::Avx2 => avx2 $(::<$kernel>)? ($($arg),*),
                    _ => $body::<$crate::host::simd::Portable $(, $kernel)?>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use vectorised;

/// A pointer that tasks of one parallel loop share, each for places of its own.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: only a pointer; whoever dereferences it vouches that no two tasks use one place.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares what `pointer` points to.
    pub fn new(pointer: *mut T) -> Self {
        Self(pointer)
    }

    /// The place `at` elements on.
    ///
    /// # Safety
    /// It lies in the same allocation.
    pub unsafe fn at(self, at: usize) -> *mut T {
        // SAFETY: the caller's.
        unsafe { self.0.add(at) }
    }
}

/// Asks for the cache line at `pointer` ahead of its use; any address is allowed.
#[inline(always)]
pub fn prefetch<T>(pointer: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(pointer.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}

/// The levels that this machine can run, for tests.
#[cfg(test)]
pub fn levels() -> Vec<Level> {
    let mut all = vec![Level::Portable];
    if level() != Level::Portable {
        all.push(Level::Avx2);
    }
    if level() == Level::Avx512 {
        all.push(Level::Avx512);
    }
    all
}
