//! Trainings that are asked to stop, and two on one run.

use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::Place;
use crate::runs::{LONG, checkpoint_after, cut_off, latest, outcome, steps};

/// One step of it takes seconds.
const SLOW: [&str; 14] = [
    "train",
    "c.toml",
    "--out",
    "run",
    "--set",
    "tower.encoder=transformer",
    "--set",
    "tower.dim=768",
    "--set",
    "tower.layers=12",
    "--set",
    "sampling.batch=256",
    "--set",
    "tower.history=50",
];

fn start(place: &Place, arguments: &[&str]) -> Child {
    let mut command = place.command(arguments);
    command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn send(signal: i32, child: &Child) {
    // SAFETY: a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// Waits until the run has begun.
fn begun(run: &Path) {
    let patience = Instant::now();
    while !run.join("run.json").exists() {
        assert!(patience.elapsed() < Duration::from_secs(120), "nothing was begun");
        sleep(Duration::from_millis(5));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_signal_ends_a_training_behind_a_checkpoint_and_it_says_how_to_go_on() {
    let place = Place::new();
    // Every second step is followed by a validation, so that signals come in the midst of them.
    let sets = ["--set", "train.validate_every=2", "--set", "train.patience=10000"];
    let long: Vec<&str> = LONG[..8].iter().copied().filter(|word| *word != "run").collect();
    let with = |out: &'static str| {
        let mut call = [&long[..3], &[out], &long[3..5], &sets].concat();
        call.extend(["--set", "train.steps=600"]);
        call
    };
    place.ok(&with("whole"));
    let run = place.path("run");
    let mut call: Vec<String> = with("run").iter().map(|word| word.to_string()).collect();
    for (signal, name, status) in [
        (libc::SIGTERM, "SIGTERM", 143),
        (libc::SIGINT, "SIGINT", 130),
        (libc::SIGTERM, "SIGTERM", 143),
    ] {
        let words: Vec<&str> = call.iter().map(String::as_str).collect();
        let before = latest(&run);
        let child = start(&place, &words);
        begun(&run);
        let patience = Instant::now();
        let log = || fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        // Every tenth step has a line.
        let line = format!("\"step\":{},", (before + 40) / 10 * 10);
        while !log().contains(&line) {
            assert!(patience.elapsed() < Duration::from_secs(120), "step {before} is the last");
            sleep(Duration::from_millis(1));
        }
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with(&format!("croloss: stopped by {name}: `croloss ")), "{said}");
        assert!(last.ends_with(&format!(" goes on from step {}", latest(&run))), "{said}");
        assert!(latest(&run) > before);
        let command = last.split('`').nth(1).unwrap();
        call = command.split(' ').skip(1).map(str::to_owned).collect();
    }
    assert!(!run.join("run.lock").exists(), "nobody holds it");
    place.ok(&call.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(outcome(&run) == outcome(&place.path("whole")));
}

#[test]
fn a_second_interrupt_ends_a_training_at_once() {
    let place = Place::new();
    let mut child = start(&place, &SLOW);
    begun(&place.path("run"));
    sleep(Duration::from_millis(300));
    send(libc::SIGINT, &child);
    sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none(), "the step was not slow enough");
    send(libc::SIGINT, &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(steps(&place.path("run")).is_empty(), "it has waited for the step");
}

#[test]
fn one_process_works_on_a_run_and_a_killed_one_is_no_hindrance() {
    let place = Place::new();
    let run = place.path("run");
    let mut first = start(&place, &LONG);
    assert!(checkpoint_after(0, &run, &mut first));
    send(libc::SIGSTOP, &first);
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let holder = format!("run is in use by process {} on ", first.id());
    for how in ["--resume", "--force"] {
        place.refused(&[&LONG[..], &[how]].concat(), 2, &[&holder]);
    }
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(run.join("run.lock").exists(), "killed, it could not remove it");
    cut_off(&place, &[&LONG[..], &["--resume"]].concat(), &run, 1);
    place.ok(&[&LONG[..], &["--resume"]].concat());
    assert!(run.join("result.json").exists() && !run.join("run.lock").exists());
}
