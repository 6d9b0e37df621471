//! A Transformer's steps between its matrix products (`encoder.cpp`): tensor ops define them, in
//! `model/between.rs`.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{Kernels, check, pointers};

unsafe extern "C" {
    fn croloss_fused_embed(
        rows: *const C_tensor,
        positions: *const C_tensor,
        from_end: *const C_tensor,
        factor: f64,
        rate: f64,
        seed: i64,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
    fn croloss_fused_relu(
        x: *const C_tensor,
        rate: f64,
        seed: i64,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
    fn croloss_fused_norm(
        x: *const C_tensor,
        added: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        epsilon: f64,
        rate: f64,
        seed: i64,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
    fn croloss_fused_attend(
        together: *const C_tensor,
        position: *const C_tensor,
        place: *const C_tensor,
        histories: i64,
        longest: i64,
        heads: i64,
        rate: f64,
        seed: i64,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
    fn croloss_fused_layers(
        stacked: *const *const C_tensor,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
}

/// What dropout sets to zero: a share `rate` of all numbers, and which ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drops {
    pub rate: f64,
    pub seed: i64,
}

/// Every one has a way back.
impl Kernels {
    /// drop(rows·factor + positions\[history − 1 − `from_end`\]), of `rows` `[positions, dim]` and
    /// `positions` `[history, dim]`.
    pub fn embed(
        &self,
        (rows, positions): (&Tensor, &Tensor),
        from_end: &Tensor,
        factor: f64,
        drops: Drops,
    ) -> Tensor {
        let Drops { rate, seed } = drops;
        let [rows, positions, from_end] = [rows, positions, from_end].map(|own| own.as_ptr());
        // SAFETY: tensors in, a new one out; here and below.
        let [out] = made(|out| unsafe {
            croloss_fused_embed(rows, positions, from_end, factor, rate, seed, out)
        });
        out
    }

    /// drop(max(x, 0)).
    pub fn relu(&self, x: &Tensor, Drops { rate, seed }: Drops) -> Tensor {
        let [out] = made(|out| unsafe { croloss_fused_relu(x.as_ptr(), rate, seed, out) });
        out
    }

    /// x + drop(`added`), or x where nothing is added, `[rows, dim]`; and before it the same, each row at
    /// mean 0 and variance 1, times `weight`, plus `bias`.
    pub fn norm(
        &self,
        (x, added): (&Tensor, Option<&Tensor>),
        [weight, bias]: [&Tensor; 2],
        epsilon: f64,
        Drops { rate, seed }: Drops,
    ) -> [Tensor; 2] {
        let added = added.map_or(std::ptr::null(), |own| own.as_ptr());
        let [x, weight, bias] = [x, weight, bias].map(|own| own.as_ptr());
        made(|out| unsafe { croloss_fused_norm(x, added, weight, bias, epsilon, rate, seed, out) })
    }

    /// Causal attention: what each position sees, `[positions, dim]`, from queries, keys and values
    /// `[positions, 3·dim]` of as many histories, the longest of so many positions, in so many heads.
    /// `packed`: of packed positions the one at each place of the padded form, and the place of each.
    pub fn attend(
        &self,
        together: &Tensor,
        packed: Option<[&Tensor; 2]>,
        [histories, longest, heads]: [i64; 3],
        Drops { rate, seed }: Drops,
    ) -> Tensor {
        let [position, place] =
            packed.map_or([std::ptr::null(); 2], |own| own.map(|own| own.as_ptr()));
        let together = together.as_ptr();
        let [out] = made(|out| unsafe {
            croloss_fused_attend(
                together, position, place, histories, longest, heads, rate, seed, out,
            )
        });
        out
    }

    /// Tensors that begin with a dimension of layers, each by layer; their gradients are put together at
    /// once.
    pub fn layers(&self, stacked: &[&Tensor]) -> Vec<Vec<Tensor>> {
        let counts: Vec<usize> = stacked.iter().map(|own| own.size()[0] as usize).collect();
        let mut out = vec![std::ptr::null_mut(); counts.iter().sum()];
        // SAFETY: as many tensors as are said, and as many new ones as all of them have layers.
        let all: Vec<Tensor> = unsafe {
            let given = pointers(stacked);
            check(croloss_fused_layers(given.as_ptr(), given.len(), out.as_mut_ptr()));
            out.into_iter().map(|own| Tensor::from_ptr(own)).collect()
        };
        let mut all = all.into_iter();
        counts.into_iter().map(|count| all.by_ref().take(count).collect()).collect()
    }
}

/// The new tensors that `make` puts there.
fn made<const N: usize>(make: impl FnOnce(*mut *mut C_tensor) -> *const c_char) -> [Tensor; N] {
    let mut out = [std::ptr::null_mut(); N];
    check(make(out.as_mut_ptr()));
    // SAFETY: what was handed out is owned here.
    out.map(|own| unsafe { Tensor::from_ptr(own) })
}
