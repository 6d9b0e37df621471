//! What tests of the binary share: a folder of their own with a small generated data set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A configuration that trains on that data set in about a second.
pub const CONFIG: &str = r#"
device = "cpu"
threads = 1

[data]
path = "data"

[tower]
dim = 8
history = 5

[sampling]
batch = 32
negatives_per_positive = 2

[train]
steps = 60
validate_every = 20
log_every = 10
monitor = "recall@10"

[evaluation]
at = [10, 50]
"#;

/// The same for a session Transformer.
#[allow(dead_code)] // Not every test file trains on sessions.
pub const SESSIONS: &str = r#"
device = "cpu"

[data]
path = "data"

[tower]
encoder = "transformer"
dim = 8
history = 5

[sampling]
samples = "positions"
batch = 32
top_k = 10

[[sampling.negatives]]
from = "uniform"
count = 50
per = "batch"

[[sampling.negatives]]
from = "in-batch"
count = 9
per = "session"

[loss]
kind = "ssm"

[train]
steps = 40
validate_every = 20
log_every = 10
monitor = "recall@10"

[evaluation]
protocol = "positions"
at = [10, 20]
"#;

/// A folder with a prepared data set in `data` and a configuration in `c.toml`.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.ok(&[
            "generate", "--preset", "demo", "--users", "400", "--items", "300", "--out", "log.csv",
        ]);
        place.ok(&[
            "prepare", "--input", "log.csv", "--user", "user", "--item", "item", "--time", "time",
            "--out", "data",
        ]);
        fs::write(place.path("c.toml"), CONFIG).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary, to be run in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_croloss"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs what must succeed; returns its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must fail with `status` and all of `words` in one line on standard error.
    #[allow(dead_code)] // Not every test file calls what fails.
    pub fn refused(&self, arguments: &[&str], status: i32, words: &[&str]) {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {errors}");
        let last = errors.lines().last().unwrap_or_default();
        for word in words {
            assert!(last.contains(word), "`{word}` is missing in: {errors}");
        }
    }
}

#[allow(dead_code)] // Not every test file reads JSON.
pub fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a script says on standard output, run in `folder`; nothing where there is no Python with
/// torch.
#[allow(dead_code)] // Not every test file asks Python.
pub fn python(script: &str, folder: &Path, argument: &str) -> Option<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if !python.exists() {
        eprintln!("skipped: {} is not here", python.display());
        return None;
    }
    let output = Command::new(python)
        .args(["-c", script])
        .args([folder.as_os_str(), argument.as_ref()])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
