//! The GPUs that the suite runs on.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread;
use std::time::SystemTime;

use croloss::config::DeviceChoice;
use croloss::device;
use tch::Device;

use crate::common::Place;

/// Where the libraries are that pretend to be CUDA, on a machine that has no GPU. They are built
/// when they are first asked for.
pub fn pretended() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(|| (!has_gpu()).then(build)).as_deref()
}

fn has_gpu() -> bool {
    let listed = Command::new("nvidia-smi").arg("-L").output();
    listed.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

/// A command that sees the machine's GPUs, or the pretended ones.
pub fn with_gpus(mut command: Command) -> Command {
    if let Some(folder) = pretended() {
        let before = std::env::var_os("LD_LIBRARY_PATH").map(PathBuf::from);
        let folders = std::env::join_paths(before.into_iter().fold(vec![folder.into()], push));
        command.env("LD_LIBRARY_PATH", folders.unwrap_or_else(|_| OsString::from(folder)));
    }
    command
}

fn push(mut folders: Vec<PathBuf>, more: PathBuf) -> Vec<PathBuf> {
    folders.push(more);
    folders
}

/// The binary in `place`, to be run with GPUs.
pub fn command(place: &Place, arguments: &[&str]) -> Command {
    with_gpus(place.command(arguments))
}

/// The first GPU, which has the program's own kernels; in a process that finds it.
pub fn gpu() -> Device {
    let gpu = device::open(DeviceChoice::Cuda(None)).unwrap();
    assert_eq!(device::why_no_kernels(gpu), None);
    gpu
}

/// Runs an ignored test of this binary in a process that finds the machine's GPUs, or the pretended
/// ones; returns what it said.
pub fn inner(test: &str) -> Output {
    succeed(&mut inner_command(test))
}

pub fn inner_command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    with_gpus(command)
}

/// Runs what must succeed; returns what it said.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

/// Compiles the sources that are newer than their objects, and links them.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = root.join("tests/pretended_cuda");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pretended_cuda");
    fs::create_dir_all(&folder).unwrap();
    let files = |extension: &str| -> Vec<PathBuf> {
        let all = fs::read_dir(&sources).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|own| own == extension)).collect()
    };
    let libtorch = fs::canonicalize(root.join(".libtorch")).expect("`make setup` makes .libtorch");
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let include = libtorch.join("include");
    let common: Vec<PathBuf> =
        files("h").into_iter().chain([include.join("ATen/ATen.h")]).collect();
    let object = |source: &PathBuf| folder.join(source.file_name().unwrap()).with_extension("o");
    let compile = |source: &PathBuf| {
        let newest: Option<SystemTime> =
            common.iter().chain([source]).map(|path| changed(path)).max().flatten();
        if changed(&object(source)) < newest {
            let mut compiler = compiler();
            compiler.args(["-std=c++20", "-O1", "-fPIC", "-c"]).arg(source);
            compiler.arg("-o").arg(object(source)).arg("-I").arg(&include);
            compiler.arg("-I").arg(include.join("torch/csrc/api/include"));
            succeed(&mut compiler);
        }
    };
    let all = files("cpp");
    thread::scope(|scope| all.iter().for_each(|source| _ = scope.spawn(|| compile(source))));
    let objects: Vec<PathBuf> = all.iter().map(object).collect();
    let library = folder.join("libtorch_cuda.so");
    if changed(&library) < objects.iter().map(|object| changed(object)).max().flatten() {
        let mut linker = compiler();
        linker.arg("-shared").args(&objects).arg("-o").arg(&library);
        linker.arg("-L").arg(libtorch.join("lib")).args(["-ltorch_cpu", "-lc10"]);
        succeed(&mut linker);
        let mut driver = compiler();
        driver.args(["-shared", "-x", "c++", "/dev/null", "-o"]).arg(folder.join("libcuda.so.1"));
        succeed(&mut driver);
        // libtorch's way to NVRTC and to the driver leads to both.
        let mut nvrtc = compiler();
        nvrtc.args(["-shared", "-x", "c++", "/dev/null", "-o"]);
        nvrtc.arg(folder.join("libcaffe2_nvrtc.so")).arg("-Wl,--no-as-needed");
        nvrtc.arg("-L").arg(&folder).arg("-ltorch_cuda");
        nvrtc.arg("-L").arg(libtorch.join("lib")).args(["-ltorch_cpu", "-lc10"]);
        succeed(&mut nvrtc);
    }
    folder
}

fn compiler() -> Command {
    Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()))
}
