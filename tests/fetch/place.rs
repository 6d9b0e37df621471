//! A folder with a description of one file, which is fetched there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A description of the file `log.bin` in a folder of its own.
pub struct Place(TempDir);

impl Place {
    /// `raw`: what the description says of the file besides name and address.
    pub fn new(url: &str, raw: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let text = format!(
            "name = 'shop'\nabout = 'Orders'\nhomepage = 'https://example.org'\nlicence = 'ours'\n\
             [[raw]]\nname = 'log.bin'\nurl = '{url}'\n{raw}\n[source]\nfiles = ['log.bin']\n"
        );
        fs::write(place.path("d.toml"), text).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_croloss"));
        for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    pub fn fetch(&self) -> Output {
        self.run(&["fetch", "d.toml", "--to", "raw"])
    }

    pub fn succeeds(&self) -> String {
        let output = self.fetch();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with that status and a line that says so; nothing stands under the file's name.
    pub fn fails(&self, status: i32, expected: &str) {
        let output = self.fetch();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(expected), "`{expected}` is missing in: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!self.path("raw/log.bin").exists());
    }

    pub fn holds(&self, expected: &[u8]) {
        assert!(fs::read(self.path("raw/log.bin")).unwrap() == expected);
        assert_eq!(self.names(), ["log.bin"]);
    }

    /// What the folder holds, hidden files too.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("raw")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
