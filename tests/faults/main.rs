//! The program on a disk that fails, and killed in the midst of what it writes.

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod dataset;
mod library;
#[allow(dead_code)] // Most trainings are cut off here by faults.
#[path = "../resume/runs.rs"]
mod runs;
mod training;

use std::fs;
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}
