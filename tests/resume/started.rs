//! What a training that is gone on with starts from, and what is refused.

use std::fs;

use serde_json::Value;

use crate::common::Place;
use crate::runs::{LONG, cut_off, latest, outcome, steps};

#[test]
fn a_broken_checkpoint_is_passed_over_for_the_one_before() {
    let place = Place::new();
    let whole: Vec<&str> = LONG.map(|word| if word == "run" { "whole" } else { word }).to_vec();
    place.ok(&whole);
    let run = place.path("run");
    cut_off(&place, &LONG, &run, 3);
    let resume = [&LONG[..], &["--resume"]].concat();
    let state = |step: u64| run.join(format!("checkpoints/step-{step:013}/state.safetensors"));
    let spoil = |step| {
        let mut bytes = fs::read(state(step)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(state(step), bytes).unwrap();
    };
    let there = steps(&run);
    // A kill may have come before the third last was removed.
    assert!((2..=3).contains(&there.len()), "the last two are kept: {there:?}");
    there[..there.len() - 2].iter().for_each(|step| spoil(*step));
    let [before, last] = there[there.len() - 2..] else { unreachable!() };
    let whole_state = fs::read(state(before)).unwrap();
    spoil(last);
    spoil(before);
    place.refused(&resume, 1, &["state.safetensors is broken", "--force"]);
    fs::write(state(before), whole_state).unwrap();
    let about = state(before).with_file_name("checkpoint.json");
    let good = fs::read_to_string(&about).unwrap();
    let mut elsewhere: Value = serde_json::from_str(&good).unwrap();
    let sum = croloss::files::sha256(&run.join("config.toml")).unwrap();
    elsewhere["files"]["../../config.toml"] = sum.into();
    fs::write(&about, elsewhere.to_string()).unwrap();
    place.refused(&resume, 1, &["checkpoint.json is broken", "--force"]);
    fs::write(&about, good).unwrap();
    let output = place.command(&resume).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("resumed at step {before} of 20000")), "{said}");
    assert!(said.contains(&format!("the checkpoint of step {last} is passed over")), "{said}");
    assert!(outcome(&run) == outcome(&place.path("whole")));
    // Seconds go on from those before.
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let seconds = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["seconds"].as_f64().unwrap()
    });
    assert!(seconds.is_sorted());
    place.refused(&resume, 2, &["run is finished", "--force"]);
}

#[test]
fn what_was_trained_otherwise_is_not_gone_on_with() {
    let place = Place::new();
    let run = place.path("run");
    cut_off(&place, &LONG, &run, 1);
    let with = |more: &[&'static str]| [&LONG[..], &["--resume", "--set"], more].concat();
    place.refused(&with(&["loss.alpha=1.2"]), 2, &["loss.alpha (1.0, now 1.2)"]);
    place.refused(
        &with(&["tower.dim=9", "--set", "train.steps=19999"]),
        2,
        &["tower.dim (8, now 9), train.steps (20000, now 19999)"],
    );
    let cut = latest(&run);
    assert!(cut > 0);
    // More steps than it began with are as if it had begun with them.
    let more = ["train.steps=20100", "--set", "train.log_every=50", "--set", "threads=2"];
    place.ok(&with(&more));
    let whole: Vec<&str> = LONG.map(|word| if word == "run" { "whole" } else { word }).to_vec();
    place.ok(&[&whole[..], &["--set", "train.steps=20100"]].concat());
    let (found, expected) = (outcome(&run), outcome(&place.path("whole")));
    assert!(found.0 == expected.0 && found.1 == expected.1);
    assert_eq!(found.2["test"], expected.2["test"]);
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("steps = 20100"), "{config}");
}

#[test]
fn without_a_checkpoint_a_run_starts_at_its_first_step() {
    let place = Place::new();
    let short = ["train", "c.toml", "--out", "run", "--resume"];
    place.ok(&short);
    let expected = outcome(&place.path("run"));
    fs::remove_file(place.path("run/result.json")).unwrap();
    place.refused(&[&short[..], &["--set", "seed=2"]].concat(), 2, &["seed (1, now 2)"]);
    let output = place.command(&short).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("run has no checkpoint"), "{said}");
    assert!(outcome(&place.path("run")) == expected);
    place.refused(&["train", "c.toml", "--out", "data", "--resume"], 2, &["not a run folder"]);
}

#[test]
fn a_diverged_training_keeps_the_last_checkpoint_whose_weights_are_numbers() {
    let place = Place::new();
    let sets = ["optimizer.learning_rate=1e38", "train.checkpoint_steps=1", "train.log_every=60"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let call: Vec<&str> = ["train", "c.toml", "--out", "run"].into_iter().chain(sets).collect();
    place.refused(&call, 1, &["is kept: ", "diverged"]);
    let mut seen = 0;
    for entry in fs::read_dir(place.path("run/checkpoints")).unwrap() {
        let file = entry.unwrap().path().join("state.safetensors");
        for (name, own) in tch::Tensor::read_safetensors(file).unwrap() {
            let finite = own.isfinite().all().int64_value(&[]) == 1;
            assert!(finite || !name.starts_with("weights/"), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_warm_start_that_is_cut_off_needs_no_longer_what_it_started_from() {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "before"]);
    let warm = [&LONG[..], &["--warm-start", "before"]].concat();
    let whole: Vec<&str> =
        warm.iter().map(|&word| if word == "run" { "whole" } else { word }).collect();
    place.ok(&whole);
    let run = place.path("run");
    cut_off(&place, &warm, &run, 2);
    fs::rename(place.path("before"), place.path("gone")).unwrap();
    let resume = [&LONG[..], &["--resume"]].concat();
    place.refused(&resume, 2, &["train.warm_start (\"before\", now not set)"]);
    place.ok(&[&warm[..], &["--resume"]].concat());
    assert!(outcome(&run) == outcome(&place.path("whole")));
}
