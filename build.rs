//! Lets the binary find libtorch without `LD_LIBRARY_PATH`.
//!
//! The CUDA half of libtorch is not linked: loading it costs every start of
//! the program most of a second. `device::Device::open` loads it on demand through the
//! same run path.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys did not say where libtorch is: run `make setup` first");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
}
