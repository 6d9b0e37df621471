//! What is there.

use std::path::Path;

use nvml_wrapper::Nvml;
use serde::Serialize;
use sysinfo::Disks;
use tch::Device;

use crate::device;
use crate::host::simd;
use crate::train::free_memory;

/// The program, its libtorch, and the machine under them.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub version: &'static str,
    pub commit: &'static str,
    /// The version of the libtorch that is loaded.
    pub libtorch: String,
    /// The CUDA that it was built for; `None` where that is none.
    pub cuda: Option<String>,
    /// The version of NVIDIA's driver; `None` where there is none.
    pub driver: Option<String>,
    /// As CUDA numbers them: what CUDA_VISIBLE_DEVICES hides is not among them.
    pub gpus: Vec<Gpu>,
    pub threads: usize,
    /// The vector instructions that loops take.
    pub vectors: &'static str,
    pub free_memory_mib: u64,
    /// Where the program is called from; `None` where the system does not tell.
    pub free_disk_mib: Option<u64>,
}

/// A GPU.
#[derive(Clone, Debug, Serialize)]
pub struct Gpu {
    pub name: String,
    pub memory_mib: u64,
    /// By its driver.
    pub free_mib: u64,
}

const MIB: u64 = 1 << 20;

impl Machine {
    /// Looks.
    pub fn look() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("CROLOSS_COMMIT"),
            libtorch: device::libtorch_version(),
            cuda: device::libtorch_cuda(),
            driver: Nvml::init().and_then(|nvml| nvml.sys_driver_version()).ok(),
            gpus: (0..device::gpu_count()).map(Gpu::look).collect(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            vectors: match simd::level() {
                simd::Level::Portable => "plain",
                simd::Level::Avx2 => "AVX2",
                simd::Level::Avx512 => "AVX-512",
            },
            free_memory_mib: free_memory() / MIB,
            free_disk_mib: std::env::current_dir().ok().and_then(|here| free_disk(&here)),
        }
    }
}

impl Gpu {
    fn look(index: usize) -> Self {
        let memory = device::gpu_memory(Device::Cuda(index)).unwrap_or_default();
        let mib = |bytes: usize| bytes as u64 / MIB;
        Self {
            name: device::gpu_name(index),
            memory_mib: mib(memory.total),
            free_mib: mib(memory.free),
        }
    }
}

/// In MiB, of the file system that holds `folder`.
fn free_disk(folder: &Path) -> Option<u64> {
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holds = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holds.max_by_key(|disk| disk.mount_point().components().count())?;
    Some(disk.available_space() / MIB)
}
