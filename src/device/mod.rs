//! Where tensors live, from the configuration's `device`.

mod graph;
mod kernels;
pub mod memory;
mod ops;
mod parcel;
mod told;

use std::ffi::{CStr, c_char, c_int};

use anyhow::{Context, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use serde::Serialize;
use tch::{Cuda, Device, Kind, Tensor};

use crate::config::DeviceChoice;
use crate::misuse;

pub use graph::{Graph, why_no_graph};
pub use kernels::{Argument, Drops, Kernels, UserItems, WARP, backward, why_no_kernels};
pub use ops::operations;
#[cfg(test)]
pub use ops::read_back;
pub use parcel::{Parcel, Place, Sent, send};

/// A way through a piece of work. Which one is taken is decided in one place, `step::Plan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputePath {
    /// Compositions of libtorch's operations: on any device, in any kind of float.
    TensorOps,
    /// Loops of this crate over host memory ([`crate::host`]): float32 on a CPU.
    HostLoops,
}

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
        DeviceChoice::Cuda(index) => index.unwrap_or(0),
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

unsafe extern "C" {
    fn croloss_gpu_name(index: c_int, name: *mut c_char, size: c_int) -> *const c_char;
    fn croloss_gpu_memory(device: c_int) -> GpuMemory;
    fn croloss_peak_memory(device: c_int) -> usize;
    fn croloss_whole_float32();
    fn croloss_libtorch_built_with(name: *const c_char) -> *const c_char;
}

/// What a GPU has of memory, in bytes; zeros where CUDA does not tell.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct GpuMemory {
    pub total: usize,
    /// What the driver has left.
    pub free: usize,
    /// What libtorch has of the driver, and keeps for the next tensors.
    pub kept: usize,
}

impl GpuMemory {
    /// What tensors could still get, at most: what is kept may lie in pieces, or be a graph's.
    pub fn room(self) -> usize {
        self.free + self.kept
    }
}

/// The memory of a GPU; `None` for the host, whose memory is not given out in pieces.
pub fn gpu_memory(device: Device) -> Option<GpuMemory> {
    match device {
        // SAFETY: reads numbers; zeros where the device is not there.
        Device::Cuda(index) => Some(unsafe { croloss_gpu_memory(index as c_int) }),
        _ => None,
    }
}

/// The most memory of a GPU that this process has held for tensors, in MiB; `None` for the host.
pub fn peak_memory_mib(device: Device) -> Option<u64> {
    match device {
        // SAFETY: as in `gpu_memory`.
        Device::Cuda(index) => {
            Some(unsafe { croloss_peak_memory(index as c_int) } as u64 / (1 << 20))
        }
        _ => None,
    }
}

/// Whether all of a tensor are numbers.
pub fn is_finite(tensor: &Tensor) -> bool {
    /// Numbers that are looked at together: on a CPU libtorch makes a float64 of each first.
    const TOGETHER: i64 = 1 << 22;
    // A sum in float64 of float32 numbers is one itself.
    let finite = |own: &Tensor| own.sum(Kind::Double).double_value(&[]).is_finite();
    let count = tensor.numel() as i64;
    if tensor.device() != Device::Cpu || count <= TOGETHER {
        return finite(tensor);
    }
    let rows = tensor.size()[0];
    let block = (TOGETHER * rows / count).max(1);
    let mut starts = (0..rows).step_by(block as usize);
    starts.all(|from| finite(&tensor.narrow(0, from, block.min(rows - from))))
}

/// A copy on the host, contiguous and with memory of its own.
pub fn host_copy(tensor: &Tensor) -> Tensor {
    let _guard = tch::no_grad_guard();
    let mut copy = Tensor::empty(tensor.size(), (tensor.kind(), Device::Cpu));
    copy.copy_(tensor);
    copy
}

/// How many GPUs CUDA sees; 0 where there is no driver or this libtorch has no CUDA.
pub fn gpu_count() -> usize {
    // Loading libtorch's CUDA takes some 270 MiB: only where there is a driver that it could use.
    match driver().map(|_| load_cuda()) {
        Some(Ok(())) => Cuda::device_count().max(0) as usize,
        None | Some(Err(_)) => 0,
    }
}

/// What the driver calls a GPU, by the number that CUDA has for it; CUDA must have counted them before.
pub fn gpu_name(index: usize) -> String {
    let mut name = [0u8; 256];
    // SAFETY: the name fits, with a zero behind it, or is cut.
    let failed =
        unsafe { croloss_gpu_name(index as c_int, name.as_mut_ptr().cast(), name.len() as c_int) };
    match CStr::from_bytes_until_nul(&name) {
        Ok(name) if failed.is_null() => name.to_string_lossy().into_owned(),
        _ => "a GPU without a name".into(),
    }
}

/// Why no GPU is used where there is a driver for one, unless it is hidden on purpose.
pub fn why_no_gpu() -> Option<String> {
    let driver = driver()?;
    if let Err(error) = load_cuda() {
        return Some(format!(
            "this libtorch has no CUDA ({error:#}): `make setup` brings one that has"
        ));
    }
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    if gpu_count() > 0 || visible.as_deref().is_some_and(|names| ["", "-1"].contains(&names)) {
        return None;
    }
    let hidden = visible.map(|names| format!(", with CUDA_VISIBLE_DEVICES={names}"));
    let version = driver_version(&driver).map(|version| format!(" for CUDA {version}"));
    let needed = libtorch_cuda().map(|cuda| {
        let major = cuda.split('.').next().unwrap_or_default();
        format!(
            ": this libtorch is built for CUDA {cuda} and needs a driver for CUDA {major} or newer \
             (`nvidia-smi` shows it)"
        )
    });
    Some(format!(
        "CUDA sees no GPU{}; the driver is one{}{}",
        hidden.unwrap_or_default(),
        version.unwrap_or_default(),
        needed.unwrap_or_default()
    ))
}

/// The version of the libtorch that is loaded, `2.13.0`.
pub fn libtorch_version() -> String {
    built_with(c"TORCH_VERSION").unwrap_or_else(|| "of no known version".into())
}

/// The CUDA that it was built for, `13.0`; `None` where that is none.
pub fn libtorch_cuda() -> Option<String> {
    built_with(c"CUDA_VERSION")
}

fn built_with(name: &CStr) -> Option<String> {
    // SAFETY: a name, and nothing or text that stays.
    let value = unsafe {
        let value = croloss_libtorch_built_with(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    };
    value.map(|own| own.to_string_lossy().into_owned()).filter(|own| !own.is_empty())
}

fn driver() -> Option<Library> {
    // SAFETY: the driver's library has no constructors that ask for anything.
    unsafe { Library::open(Some(DRIVER_LIBRARY), RTLD_NOW) }.ok()
}

/// The latest CUDA that the driver can run, `13.0`.
fn driver_version(driver: &Library) -> Option<String> {
    let mut version: c_int = 0;
    // SAFETY: as the driver declares it; it may be called before anything else and writes a number.
    let failed = unsafe {
        let ask =
            driver.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDriverGetVersion").ok()?;
        ask(&mut version)
    };
    (failed == 0).then(|| format!("{}.{}", version / 1000, version % 1000 / 10))
}

/// Loads CUDA into the process, to compute with all digits of float32. It is not linked, because that
/// would cost every start of the program the time of loading it. Must come before libtorch is first
/// asked about CUDA: it remembers the answer.
fn load_cuda() -> Result<()> {
    // SAFETY: the library's constructors register libtorch's own CUDA back end; it is meant to
    // be loaded into a process that has libtorch_cpu, and stays loaded.
    let library = unsafe { Library::open(Some(CUDA_LIBRARY), RTLD_NOW | RTLD_GLOBAL) };
    std::mem::forget(library.with_context(|| format!("cannot load {CUDA_LIBRARY}"))?);
    // SAFETY: sets two flags of libtorch.
    unsafe { croloss_whole_float32() };
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
    // libtorch's threads are made later and inherit the setting of this one. A second run in
    // one process keeps the pool of the first: all that a refusal means.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads as usize)
        .start_handler(|_| flush_denormals())
        .build_global();
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
    fn a_device_that_is_not_there_is_refused() {
        let error = open(DeviceChoice::Cuda(Some(99))).unwrap_err().to_string();
        assert!(error.contains("cuda:99"), "{error}");
        assert_eq!(open(DeviceChoice::Cpu).unwrap(), Device::Cpu);
    }
}
