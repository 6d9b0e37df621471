//! Where tensors live, from the configuration's `device`.

mod ops;

use anyhow::{Context, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Cuda, Device, Kind, Tensor};

use crate::config::DeviceChoice;
use crate::misuse;

pub use ops::operations;
#[cfg(test)]
pub use ops::read_back;

/// The CUDA half of libtorch, found through the binary's run path.
const CUDA_LIBRARY: &str = "libtorch_cuda.so";

/// NVIDIA's driver, there on every machine whose GPU can be used.
const DRIVER_LIBRARY: &str = "libcuda.so.1";

/// The device that `choice` stands for.
///
/// # Errors
/// A [`crate::error::Misuse`] for a CUDA device that is not there: it says whether libtorch was
/// built without CUDA or no such GPU is visible.
pub fn open(choice: DeviceChoice) -> Result<Device> {
    let index = match choice {
        DeviceChoice::Cpu => return Ok(Device::Cpu),
        DeviceChoice::Auto if gpu_count() == 0 => return Ok(Device::Cpu),
        DeviceChoice::Auto => 0,
        DeviceChoice::Cuda(index) => index,
    };
    if let Err(error) = load_cuda() {
        misuse!(
            "device = \"{choice}\": this libtorch has no CUDA ({error:#}); use device = \"cpu\", \
             or run `make setup` with the CUDA wheel"
        );
    }
    let count = gpu_count();
    if index >= count {
        misuse!(
            "device = \"{choice}\" is not there: CUDA sees {count} GPUs; use device = \"cpu\" or \
             \"auto\""
        );
    }
    Ok(Device::Cuda(index))
}

/// Waits until the device has done what it was given, so that a clock tells the truth.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// How many GPUs CUDA sees; 0 where there is no driver or this libtorch has no CUDA.
pub fn gpu_count() -> usize {
    // Loading libtorch's CUDA takes some 270 MiB: only where there is a driver that it could use.
    // SAFETY: the driver's library has no constructors that ask for anything.
    if unsafe { Library::open(Some(DRIVER_LIBRARY), RTLD_NOW) }.is_err() {
        return 0;
    }
    match load_cuda() {
        Ok(()) => Cuda::device_count().max(0) as usize,
        Err(_) => 0,
    }
}

/// Loads CUDA into the process. It is not linked, because that would cost every start of the
/// program the time of loading it. Must come before libtorch is first asked about CUDA: it
/// remembers the answer.
fn load_cuda() -> Result<()> {
    // SAFETY: the library's constructors register libtorch's own CUDA back end; it is meant to
    // be loaded into a process that has libtorch_cpu, and stays loaded.
    let library = unsafe { Library::open(Some(CUDA_LIBRARY), RTLD_NOW | RTLD_GLOBAL) };
    std::mem::forget(library.with_context(|| format!("cannot load {CUDA_LIBRARY}"))?);
    Ok(())
}

/// A name for result files: `cpu` or `cuda:0`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}

/// Makes libtorch and the loops of this crate use `threads` threads (0: one for every core), and
/// all of them treat numbers below the normal range of float32 (1e-38) as zero: Adam's moments
/// decay into that range, where x86 arithmetic is some hundred times slower.
pub fn use_threads(threads: u32) {
    flush_denormals();
    if threads > 0 {
        tch::set_num_threads(threads as i32);
    }
    // libtorch's threads are made later and inherit the setting of this one. A second session in
    // one process keeps the pool of the first: all that a refusal means.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads as usize)
        .start_handler(|_| flush_denormals())
        .build_global();
}

/// The memory of a contiguous float32 tensor on the host; none of any other: there a loop over
/// memory cannot take the place of tensor ops.
pub fn host_floats(tensor: &Tensor) -> Option<&[f32]> {
    // SAFETY: float32 numbers are what the tensor holds.
    unsafe { host_memory(tensor, Kind::Float) }
}

/// The memory of a contiguous int64 tensor on the host, for as long as the tensor lives.
///
/// # Panics
/// For any other tensor: ids that loops read are drawn on the host.
pub fn host_ids(tensor: &Tensor) -> &[i64] {
    // SAFETY: int64 numbers are what the tensor holds.
    unsafe { host_memory(tensor, Kind::Int64) }.expect("contiguous int64 on the host")
}

/// # Safety
/// `T` is the type of the numbers of a tensor of `kind`.
unsafe fn host_memory<T>(tensor: &Tensor, kind: Kind) -> Option<&[T]> {
    let host = tensor.device() == Device::Cpu && tensor.kind() == kind;
    let length = tensor.numel();
    (host && tensor.is_contiguous()).then(|| match length {
        // An empty tensor has no address.
        0 => &[][..],
        // SAFETY: contiguous on the host, borrowed with the tensor; its type is the caller's word.
        _ => unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const T, length) },
    })
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

fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: sets the flush-to-zero and denormals-are-zero bits of MXCSR and nothing else.
    unsafe {
        let mut state = 0u32;
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut state);
        state |= (1 << 15) | (1 << 6);
        std::arch::asm!("ldmxcsr [{}]", in(reg) &state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_can_be_loaded_where_libtorch_has_it() {
        let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/.libtorch/lib/libtorch_cuda.so");
        if !std::path::Path::new(lib).exists() {
            eprintln!("skipped: the libtorch of this checkout has no CUDA");
            return;
        }
        load_cuda().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(maps.contains(CUDA_LIBRARY));
        assert!(tch::utils::has_cudart(), "libtorch knows of CUDA once its library is loaded");
    }

    #[test]
    fn a_device_that_is_not_there_is_refused() {
        let error = open(DeviceChoice::Cuda(99)).unwrap_err().to_string();
        assert!(error.contains("cuda:99"), "{error}");
        assert_eq!(open(DeviceChoice::Cpu).unwrap(), Device::Cpu);
    }
}
