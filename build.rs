//! Lets the binary find libtorch without `LD_LIBRARY_PATH`, and tells it its commit.
//!
//! The CUDA half of libtorch is not linked: loading it costs every start of the program most of a
//! second. `device::open` loads it on demand through the same run path.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A missing file would make every build start from here.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys did not say where libtorch is: run `make setup` first");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    libtorch_cpp(Path::new(&lib));
    let git = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = git.ok().filter(|git| git.status.success());
    let commit =
        commit.map_or("unknown".into(), |git| String::from_utf8_lossy(&git.stdout).into_owned());
    println!("cargo:rustc-env=CROLOSS_COMMIT={}", commit.trim());
}

/// Compiles what libtorch offers in C++ only.
fn libtorch_cpp(lib: &Path) {
    const FILES: [&str; 7] = [
        "src/export/script.cpp",
        "src/device/ops.cpp",
        "src/device/gpu_memory.cpp",
        "src/device/graph.cpp",
        "src/device/kernels.cpp",
        "src/device/kernels/encoder.cpp",
        "src/device/lacks.cpp",
    ];
    const HEADER: &str = "src/device/kernels.h";
    FILES.iter().chain([&HEADER]).for_each(|file| println!("cargo:rerun-if-changed={file}"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where to build"));
    let compiled_for = out.join("libtorch");
    let torch = lib.join("libtorch_cpu.so");
    let mut read = FILES.iter().chain([&HEADER, &"build.rs"]).map(Path::new).chain([&*torch]);
    // A commit alone starts this script too: what was compiled stays where nothing of it changed.
    if let Some(compiled) = changed(&out.join("libcroloss_cpp.a"))
        && read.all(|file| changed(file).is_some_and(|at| at < compiled))
        && fs::read(&compiled_for).is_ok_and(|lib_then| lib_then == lib.as_os_str().as_bytes())
    {
        println!("cargo:rustc-link-search=native={}", out.display());
        println!("cargo:rustc-link-lib=static=croloss_cpp");
        println!("cargo:rustc-link-lib=stdc++");
        return;
    }
    let include = lib.with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .files(FILES)
        .compile("croloss_cpp");
    fs::write(compiled_for, lib.as_os_str().as_bytes())
        .expect("cannot write beside what was built");
}

fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}
