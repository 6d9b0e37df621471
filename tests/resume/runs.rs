//! What a run has come to, and how one is cut off.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Place, json};

/// Weights, ranks, result and log.
pub type Outcome = (Vec<u8>, Vec<u8>, Value, Vec<Value>);

/// All that a run came to but times and memory.
pub fn outcome(run: &Path) -> Outcome {
    let without = |mut value: Value, keys: &[&str]| {
        let object = value.as_object_mut().unwrap();
        keys.iter().for_each(|key| drop(object.remove(*key)));
        value
    };
    let read = |name: &str| fs::read(run.join(name)).unwrap();
    let result =
        without(json(&run.join("result.json")), &["train_seconds", "seconds", "peak_memory_mib"]);
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| without(serde_json::from_str(line).unwrap(), &["seconds"]));
    (read("best.safetensors"), read("ranks.parquet"), result, lines.collect())
}

/// The steps of the checkpoints, ascending.
pub fn steps(run: &Path) -> Vec<u64> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut steps: Vec<u64> =
        names.filter_map(|name| name.strip_prefix("step-")?.parse().ok()).collect();
    steps.sort_unstable();
    steps
}

/// The step of the latest checkpoint.
pub fn latest(run: &Path) -> u64 {
    steps(run).last().copied().unwrap_or(0)
}

/// Waits for a later checkpoint than that of `step`; whether one came before the run ended.
pub fn checkpoint_after(step: u64, run: &Path, child: &mut Child) -> bool {
    let patience = Instant::now();
    while latest(run) <= step {
        assert!(patience.elapsed() < Duration::from_secs(120), "no checkpoint came");
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(1));
    }
    true
}

/// Trains until there are checkpoints of `count` steps, then kills it.
pub fn cut_off(place: &Place, arguments: &[&str], run: &Path, count: usize) {
    let mut child = place.command(arguments).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..count {
        assert!(checkpoint_after(latest(run), run, &mut child), "it ended too early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!run.join("result.json").exists(), "it ended too early");
}

pub const LONG: [&str; 10] = [
    "train",
    "c.toml",
    "--out",
    "run",
    "--set",
    "train.steps=20000",
    "--set",
    "train.validate_every=2000",
    "--set",
    "train.checkpoint_steps=50",
];
