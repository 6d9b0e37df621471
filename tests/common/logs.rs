//! What tests of `prepare` share: a folder of logs, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder of its own for a test, and the program run in it.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[allow(dead_code)] // Not every test file writes logs of its own.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_croloss"))
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    pub fn succeeds(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with that status and one line on standard error, and leaves nothing behind.
    pub fn fails(&self, arguments: &str, status: i32) -> String {
        let before = self.names();
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments}: {said}");
        assert_eq!(self.names(), before, "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said.trim_start_matches("croloss: ").trim_end().to_owned()
    }

    /// All files and folders, hidden ones too.
    pub fn names(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, names: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, names);
                }
                names.push(path);
            }
        }
        let mut names = Vec::new();
        walk(self.0.path(), &mut names);
        names.sort();
        names
    }
}

/// 20 users with 6 items each, and one user with a single event.
#[allow(dead_code)] // Not every test file reads it.
pub fn log() -> String {
    let mut text = "user,item,time\n".to_owned();
    for user in 0..20 {
        for step in 0..6 {
            text += &format!("u{user},i{},{}\n", (user + step) % 10, 100 - step);
        }
    }
    text + "once,i1,5\n"
}

#[allow(dead_code)] // Not every test file reads a table.
pub const TABLE: &str = "--user user --item item --time time";
