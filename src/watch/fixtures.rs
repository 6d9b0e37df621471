//! Run folders made by hand.

use std::fs;
use std::path::Path;

/// A line of a log: the loss after a step, ten of which take a second.
pub fn loss(step: u64, value: f64) -> String {
    line("train", step, &format!("\"loss\":{value:?}"))
}

/// A validation.
pub fn validation(step: u64, recall: f64) -> String {
    line("validation", step, &format!("\"recall@50\":{recall:?},\"ndcg@20\":{:?}", recall / 2.0))
}

fn line(part: &str, step: u64, values: &str) -> String {
    let seconds = step as f64 / 10.0;
    format!("{{\"part\":\"{part}\",\"step\":{step},\"seconds\":{seconds:?},{values}}}\n")
}

/// A run of so many steps in `folder` whose log has these lines.
pub fn begin(folder: &Path, steps: u64, lines: &[String]) {
    fs::create_dir_all(folder).unwrap();
    let config = "[data]\npath = \"data\"\n\n[train]\nmonitor = \"recall@50\"\n";
    fs::write(folder.join("config.toml"), config).unwrap();
    let info = "{\"checksum\": \"\", \"dataset\": \"demo\", \"version\": \"0\", \"steps\": STEPS}";
    fs::write(folder.join("run.json"), info.replace("STEPS", &steps.to_string())).unwrap();
    fs::write(folder.join("metrics.jsonl"), lines.concat()).unwrap();
}

/// This process works in the run.
pub fn hold(folder: &Path) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let holder = format!("process {} on {host}", std::process::id());
    fs::write(folder.join("run.lock"), holder).unwrap();
}

/// The run has ended behind `steps` steps.
pub fn end(folder: &Path, steps: u64) {
    let result = serde_json::json!({
        "steps": steps, "best_step": steps, "train_seconds": 10.0, "seconds": 75.0, "device": "cpu",
        "threads": 1, "seed": 1, "peak_memory_mib": 1, "version": "0", "commit": "0",
        "test_users": 1, "validation": {}, "test": { "recall@50": 0.125 },
    });
    fs::write(folder.join("result.json"), result.to_string()).unwrap();
}

pub fn fail(folder: &Path, reason: &str) {
    let failure = serde_json::json!({ "reason": reason });
    fs::write(folder.join("failed.json"), failure.to_string()).unwrap();
}
