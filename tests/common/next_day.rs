//! What a warm start is tested with: the log of another day, and a step that moves nothing.

use std::fs;

use crate::common::Place;

/// A rate by which float32 weights do not move.
pub const STILL: [&str; 4] = ["--set", "optimizer.learning_rate=1e-30", "--set", "train.steps=1"];

/// Another day: half of the users anew, so that some items are gone and others are new, and all are
/// numbered otherwise.
pub fn next_day(place: &Place) {
    let log = fs::read_to_string(place.path("log.csv")).unwrap();
    let mut lines = log.lines();
    let head = lines.next().unwrap().to_owned();
    let renamed = |line: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        let item = fields[1].to_owned();
        let late = item.bytes().map(usize::from).sum::<usize>() % 5 == 0;
        let item = if late { format!("new-{item}") } else { item };
        fields[1] = &item;
        fields.join(",")
    };
    let kept: Vec<String> = lines.skip(1_000).map(renamed).collect();
    fs::write(place.path("next.csv"), [vec![head], kept].concat().join("\n") + "\n").unwrap();
    place.ok(&[
        "prepare", "--input", "next.csv", "--user", "user", "--item", "item", "--time", "time",
        "--out", "next",
    ]);
}
