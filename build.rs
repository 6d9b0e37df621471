//! Lets the binary find libtorch without `LD_LIBRARY_PATH`, and tells it its commit.
//!
//! The CUDA half of libtorch is not linked: loading it costs every start of the program most of a
//! second. `device::open` loads it on demand through the same run path.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys did not say where libtorch is: run `make setup` first");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let git = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = git.ok().filter(|git| git.status.success());
    let commit =
        commit.map_or("unknown".into(), |git| String::from_utf8_lossy(&git.stdout).into_owned());
    println!("cargo:rustc-env=CROLOSS_COMMIT={}", commit.trim());
}
