//! The memory of tensors on the host: the only place that reads or writes it directly.

use tch::{Device, Kind, Tensor};

/// The numbers of a float32 tensor on the host, for as long as the tensor lives.
///
/// # Panics
/// For any tensor that is not contiguous float32 on the host: loops are chosen for no others.
pub fn floats(tensor: &Tensor) -> &[f32] {
    check(tensor, Kind::Float);
    // An empty tensor has no address.
    match tensor.numel() {
        0 => &[],
        // SAFETY: contiguous float32 on the host, borrowed with the tensor.
        length => unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const f32, length) },
    }
}

/// The numbers of a float32 tensor on the host, to be written.
///
/// # Panics
/// As [`floats`].
///
/// # Safety
/// Nothing else reads or writes the tensor's memory while the slice lives.
#[allow(clippy::mut_from_ref)] // A tensor is a handle: what it holds is changed through `&` anyway.
pub unsafe fn floats_mut(tensor: &Tensor) -> &mut [f32] {
    check(tensor, Kind::Float);
    match tensor.numel() {
        0 => &mut [],
        // SAFETY: contiguous float32 on the host; that nobody else uses it is the caller's word.
        length => unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr() as *mut f32, length) },
    }
}

/// The numbers of an int64 tensor on the host, for as long as the tensor lives.
///
/// # Panics
/// For any tensor that is not contiguous int64 on the host: ids that loops read are drawn there.
pub fn ids(tensor: &Tensor) -> &[i64] {
    check(tensor, Kind::Int64);
    match tensor.numel() {
        0 => &[],
        // SAFETY: contiguous int64 on the host, borrowed with the tensor.
        length => unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const i64, length) },
    }
}

/// Where the numbers of a contiguous tensor on the host begin.
///
/// # Panics
/// For any tensor that is not contiguous, of `kind`, on the host.
pub fn start<T>(tensor: &Tensor, kind: Kind) -> *mut T {
    check(tensor, kind);
    assert_eq!(kind.elt_size_in_bytes(), size_of::<T>());
    tensor.data_ptr().cast()
}

/// Zeros for a table whose rows are read here and there: on Linux's host memory in pages of 2 MiB
/// where the system has them, so that finding a row's place costs no walk through the page table.
pub fn table_zeros(shape: &[i64], kind: Kind, device: Device) -> Tensor {
    let mut zeros = Tensor::empty(shape, (kind, device));
    #[cfg(target_os = "linux")]
    if device == Device::Cpu {
        const PAGE: usize = 4096;
        let bytes = zeros.numel() * kind.elt_size_in_bytes();
        let start = (zeros.data_ptr() as usize).next_multiple_of(PAGE);
        let end = (zeros.data_ptr() as usize + bytes) / PAGE * PAGE;
        if end > start {
            // SAFETY: whole pages within the tensor; the advice changes no content. A refusal
            // only means small pages.
            unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    let _ = zeros.zero_();
    zeros
}

fn check(tensor: &Tensor, kind: Kind) {
    assert!(
        tensor.device() == Device::Cpu && tensor.kind() == kind && tensor.is_contiguous(),
        "loops over host memory take contiguous {kind:?}, not {:?} on {:?}",
        tensor.kind(),
        tensor.device()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contiguous_numbers_of_the_host_are_handed_out() {
        let matrix = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert_eq!(floats(&matrix), [1.0, 2.0, 3.0, 4.0]);
        assert!(floats(&matrix.narrow(0, 0, 0)).is_empty());
        assert_eq!(ids(&Tensor::from_slice(&[7i64])), [7]);
        for wrong in [matrix.tr(), matrix.to_kind(Kind::Double)] {
            assert!(std::panic::catch_unwind(|| floats(&wrong).len()).is_err());
        }
    }
}
