//! Numbers that begin at a cache line.

use std::ops::{Deref, DerefMut};

/// A line of the cache.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A vector of numbers at a multiple of 64 bytes: no register that is loaded from a multiple of 16
/// numbers lies across two lines of the cache, which would take two loads.
#[derive(Default)]
pub struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut own = Self::default();
        own.resize(len);
        own
    }

    /// Takes or leaves numbers at the end; new ones are 0 or what once stood there.
    pub fn resize(&mut self, len: usize) {
        self.lines.resize(len.div_ceil(16), Line::default());
        self.len = len;
    }

    /// Leaves nothing.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.len = 0;
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: lines are 16 numbers each, without gaps, `len` of them or more.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_cache_line_and_stay_while_the_vector_grows() {
        let mut own = Aligned::zeros(3);
        own.copy_from_slice(&[1.0, 2.0, 3.0]);
        own.resize(1000);
        assert_eq!(own.as_ptr() as usize % 64, 0);
        assert_eq!((own.len(), &own[..4]), (1000, &[1.0, 2.0, 3.0, 0.0][..]));
        own.clear();
        own.resize(17);
        assert!(own.iter().all(|x| *x == 0.0));
    }
}
