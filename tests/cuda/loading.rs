//! Loading CUDA, in a process of its own: libtorch remembers for good what it was told about CUDA
//! when it was first asked.

use std::fs;
use std::path::Path;

use croloss::config::DeviceChoice;
use croloss::device;

#[test]
fn cuda_can_be_loaded_where_libtorch_has_it() {
    let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/.libtorch/lib/libtorch_cuda.so");
    if !Path::new(lib).exists() {
        eprintln!("skipped: the libtorch of this checkout has no CUDA");
        return;
    }
    let error = device::open(DeviceChoice::Cuda(Some(99))).unwrap_err().to_string();
    assert!(error.contains("\"cuda:99\" is not there: CUDA sees"), "{error}");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("libtorch_cuda.so"));
    assert!(tch::utils::has_cudart(), "libtorch knows of CUDA once its library is loaded");
}
