//! What is there.

use std::ffi::{CStr, c_char};
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;
use sysinfo::Disks;

use crate::host::simd;
use crate::train::free_memory;

/// The program, its libtorch, and the machine under them.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub version: &'static str,
    pub commit: &'static str,
    /// The version of the libtorch that is loaded.
    pub libtorch: String,
    /// The version of NVIDIA's driver; `None` where there is none.
    pub driver: Option<String>,
    /// As the driver lists them.
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
    pub free_mib: u64,
}

unsafe extern "C" {
    fn croloss_libtorch_version() -> *const c_char;
}

const MIB: u64 = 1 << 20;

impl Machine {
    /// Looks.
    pub fn look() -> Self {
        // SAFETY: a string that stays.
        let libtorch = unsafe { CStr::from_ptr(croloss_libtorch_version()) };
        let nvml = Nvml::init();
        let (driver, gpus) = match &nvml {
            Ok(nvml) => (nvml.sys_driver_version().ok(), gpus(nvml).unwrap_or_default()),
            Err(_) => (None, vec![]),
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("CROLOSS_COMMIT"),
            libtorch: libtorch.to_string_lossy().into_owned(),
            driver,
            gpus,
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

fn gpus(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let gpu = |index| {
        let device = nvml.device_by_index(index)?;
        let memory = device.memory_info()?;
        Ok(Gpu {
            name: device.name()?,
            memory_mib: memory.total / MIB,
            free_mib: memory.free / MIB,
        })
    };
    (0..nvml.device_count()?).map(gpu).collect()
}

/// In MiB, of the file system that holds `folder`.
fn free_disk(folder: &Path) -> Option<u64> {
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holds = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holds.max_by_key(|disk| disk.mount_point().components().count())?;
    Some(disk.available_space() / MIB)
}
