//! A fault at every file operation of a training, one after the other.

use std::fs;
use std::path::Path;
use std::thread;

use crate::common::Place;
use crate::copy;
use crate::library::{Faulty, How, run};
use crate::runs::{Outcome, latest, outcome};

/// Has a checkpoint after step 25 and one after step 50 or soon behind it.
const TRAIN: [&str; 9] = [
    "train",
    "c.toml",
    "--set",
    "train.checkpoint_steps=25",
    "--set",
    "train.checkpoints_kept=1",
    "--resume",
    "--out",
    "run",
];

/// A training that was cut off when there was one checkpoint, and what it would have come to.
struct CutOff {
    place: Place,
    expected: Outcome,
    files: Vec<String>,
}

/// Where a training starts that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Nothing,
    Checkpoint,
}

/// The names of all files below a folder, the time in a TensorBoard file's left out.
fn files(folder: &Path) -> Vec<String> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()).iter().map(|file| format!("{name}/{file}")));
            all.push(name + "/");
        } else {
            let events = name.starts_with("events.out.tfevents.");
            all.push(if events { "events".into() } else { name });
        }
    }
    all.sort();
    all.dedup();
    all
}

impl CutOff {
    fn new() -> Self {
        let place = Place::new();
        place.ok(&["train", "c.toml", "--out", "whole"]);
        let whole = place.path("whole");
        let below = place.path("run");
        let train = || place.command(&TRAIN);
        let begun = |line: &String| line.contains(" mkdir ") && line.contains("/.step-");
        let cut_off = || {
            let counted = run(train(), &below.join("checkpoints"), 0, How::Kill).operations;
            let second = counted.iter().position(|line| begun(line) && !line.ends_with("25"));
            fs::remove_dir_all(&below).unwrap();
            let Some(second) = second else { return false };
            run(train(), &below.join("checkpoints"), 1 + second, How::Kill);
            let there = latest(&below) == 25;
            if !there {
                fs::remove_dir_all(&below).unwrap();
            }
            there
        };
        // Where the disk is slow the training ends while its first checkpoint is still being written.
        assert!((0..50).any(|_| cut_off()), "no second checkpoint was begun");
        fs::rename(below, place.path("cut-off")).unwrap();
        Self { expected: outcome(&whole), files: files(&whole), place }
    }

    /// Trains with a fault at operation `at` in `folder` of the run, goes on without one, and
    /// compares; whether there was a fault.
    fn survives(&self, from: From, folder: &str, at: usize, how: How) -> bool {
        let name = format!("{from:?}-{how:?}-{at}-{}", folder.len());
        let path = self.place.path(&name);
        if from == From::Checkpoint {
            copy(&self.place.path("cut-off"), &path);
        }
        let train = || {
            let mut command = self.place.command(&TRAIN[..8]);
            command.arg(&name);
            command
        };
        let faulty = run(train(), &path.join(folder), at, how);
        let Some(fault) = faulty.fault() else {
            assert!(faulty.output.status.success(), "{}", faulty.said());
            self.compare(&path, &name);
            return false;
        };
        let told = format!("{how:?} at {fault}: {}", faulty.said());
        check_end(&faulty, how, &path, &told);
        if path.exists() {
            let half = |file: &&String| file.ends_with('/') && file.contains("/.");
            let left = files(&path);
            assert!(left.iter().filter(half).count() <= 1, "{told}: {left:?}");
        }
        let finished = path.join("result.json").exists();
        let again = train().output().unwrap();
        let said = String::from_utf8_lossy(&again.stderr);
        let status = if finished { 2 } else { 0 };
        assert_eq!(again.status.code(), Some(status), "{told}; then: {said}");
        if from == From::Checkpoint && !finished {
            assert!(said.contains("resumed at step "), "{told}; then: {said}");
        }
        self.compare(&path, &told);
        fs::remove_dir_all(path).unwrap();
        true
    }

    fn compare(&self, run: &Path, told: &str) {
        assert!(outcome(run) == self.expected, "{told}: another outcome");
        assert_eq!(files(run), self.files, "{told}");
    }

    /// Walks over all operations; returns how many there were.
    fn walk(&self, from: From, folder: &str, how: How) -> usize {
        (1..).take_while(|at| self.survives(from, folder, *at, how)).count()
    }
}

/// Killed, or an end with a sentence that names a file of the run.
fn check_end(faulty: &Faulty, how: How, run: &Path, told: &str) {
    let status = faulty.output.status;
    match how {
        How::Kill | How::Half => assert_eq!(status.code(), None, "{told}"),
        How::Once(_) | How::FromThereOn(_) => {
            assert!(matches!(status.code(), Some(0 | 1)), "{told}");
            assert!(!told.contains("unexpected error"), "{told}");
            let named = faulty.said().contains(&*run.file_name().unwrap().to_string_lossy());
            assert!(status.success() || named, "{told}");
        }
    }
}

#[test]
fn a_kill_at_any_operation_of_a_checkpoint_costs_nothing() {
    let cut_off = CutOff::new();
    thread::scope(|scope| {
        for (how, least) in [(How::Kill, 20), (How::Half, 2)] {
            let cut_off = &cut_off;
            scope.spawn(move || {
                let walked = cut_off.walk(From::Checkpoint, "checkpoints", how);
                assert!(walked >= least, "{how:?}: {walked}");
            });
        }
    });
}

/// `make stress`: over all operations of a run, killed and failing in every way.
#[test]
#[ignore = "takes minutes: make stress"]
fn a_fault_at_any_operation_of_a_training_costs_nothing() {
    let cut_off = CutOff::new();
    let fail = |error| [How::Once(error), How::FromThereOn(error)];
    let all = [&[How::Kill, How::Half][..], &fail(libc::ENOSPC), &fail(libc::EIO)].concat();
    let walk = |from: From| {
        for how in &all {
            let walked = cut_off.walk(from, "", *how);
            assert!(walked >= 20, "{how:?}, from {from:?}: {walked}");
            eprintln!("{how:?}, from {from:?}: {walked} operations");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| walk(From::Nothing));
        scope.spawn(|| walk(From::Checkpoint));
    });
}
