//! The program with `faults.cpp` put before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What happens at an operation below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The process is killed before it.
    Kill,
    /// The process is killed when it has written half of it; only writes count.
    Half,
    /// It fails with this error.
    Once(i32),
    /// It and every later one fails with this error. Where that is a full disk, only what needs
    /// room counts.
    FromThereOn(i32),
}

/// What came of a call.
pub struct Faulty {
    pub output: Output,
    /// All operations that were counted, those that failed with the word `FAULT`.
    pub operations: Vec<String>,
}

impl Faulty {
    /// The operation that failed first, or at which the process was killed.
    pub fn fault(&self) -> Option<&str> {
        let fault = |line: &&String| line.contains(" FAULT ");
        self.operations.iter().find(fault).map(String::as_str)
    }

    /// What was said on standard error.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Runs the command with a fault at operation `at`, from 1, on the folder `below` or in it; with none
/// where there are fewer.
pub fn run(mut command: Command, below: &Path, at: usize, how: How) -> Faulty {
    let report = tempfile::NamedTempFile::new().unwrap();
    let name = match how {
        How::Kill => "kill".to_owned(),
        How::Half => "half".to_owned(),
        How::Once(error) | How::FromThereOn(error) => error.to_string(),
    };
    command
        .env("LD_PRELOAD", library())
        // Without a slash at its end.
        .env("FAULT_BELOW", below.components().collect::<PathBuf>())
        .env("FAULT_AT", at.to_string())
        .env("FAULT_HOW", name)
        .env("FAULT_REPORT", report.path());
    if matches!(how, How::FromThereOn(_)) {
        command.env("FAULT_LASTS", "1");
    }
    let output = command.output().unwrap();
    let operations = fs::read_to_string(report.path()).unwrap();
    Faulty { output, operations: operations.lines().map(str::to_owned).collect() }
}

/// Compiles it, once for all tests of this process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let out = out.join(format!("faults-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/faults.cpp");
        let made = Command::new("c++")
            .args(["-std=c++17", "-Wall", "-Werror", "-O1", "-shared", "-fPIC", source, "-o"])
            .arg(&out)
            .arg("-ldl")
            .status();
        assert!(made.unwrap().success());
        let library = out.with_file_name("faults.so");
        fs::rename(out, &library).unwrap();
        library
    })
}
