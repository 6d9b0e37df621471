//! Whole trainings on a GPU come to what they come to by the same tensor ops on a CPU.

use std::fs;

use serde_json::Value;

use super::machine;
use crate::common::{Place, SESSIONS, json};

/// Of the session model.
const SETS: [&str; 2] = ["threads=1", "optimizer.epsilon_form=pytorch"];

/// A training on the CPU by tensor ops, and one on a GPU: their results.
fn both(place: &Place, config: &str, sets: &[&str]) -> [Value; 2] {
    both_by(place, config, sets, true)
}

/// The same; without `kernels` of the program's own on the pretended device.
fn both_by(place: &Place, config: &str, sets: &[&str], kernels: bool) -> [Value; 2] {
    ["cpu", "cuda"].map(|device| {
        let device_set = format!("device={device}");
        let arguments = ["train", config, "--out", device, "--force", "--set", "train.fused=false"];
        let mut arguments = [&arguments[..], &["--set", &device_set]].concat();
        sets.iter().for_each(|set| arguments.extend(["--set", *set]));
        let mut command = machine::command(place, &arguments);
        machine::succeed(command.env("PRETENDED_CUDA_NVRTC", u8::from(kernels).to_string()));
        json(&place.path(device).join("result.json"))
    })
}

/// The largest difference of a metric of the test.
fn difference(results: &[Value; 2]) -> f64 {
    let [cpu, gpu] = results.each_ref().map(|result| result["test"].as_object().unwrap());
    assert!(!cpu.is_empty() && cpu.len() == gpu.len());
    let number = |value: &Value| value.as_f64().unwrap();
    cpu.iter().map(|(name, value)| (number(value) - number(&gpu[name])).abs()).fold(0.0, f64::max)
}

/// What a metric may differ by where sums may be rounded otherwise: some user's target is one rank
/// further up or down.
const ROUNDING: f64 = 0.01;

#[test]
fn a_two_tower_model_comes_to_the_same() {
    let place = Place::new();
    for sets in [&[][..], &["tower.repeats=true", "optimizer.kind=adagrad"]] {
        let results = both(&place, "c.toml", sets);
        assert_eq!(results[1]["device"], "cuda:0");
        let difference = difference(&results);
        assert!(difference <= ROUNDING, "{sets:?}: {difference}");
    }
}

#[test]
fn session_models_come_to_the_same() {
    let place = Place::new();
    for encoder in ["transformer", "gru"] {
        fs::write(place.path("s.toml"), SESSIONS).unwrap();
        let encoder_set = format!("tower.encoder={encoder}");
        let sets = [&SETS[..], &[&encoder_set, "tower.dropout=0.0"]].concat();
        let of = |kernels| difference(&both_by(&place, "s.toml", &sets, kernels));
        let with_kernels = of(true);
        // Of the pretended device the tensor ops, and what they are given, are the same; kernels of our
        // own add in another order.
        let allowed = if machine::pretended().is_some() { [1e-4, 0.0] } else { [ROUNDING; 2] };
        assert!(with_kernels <= allowed[0], "{encoder}: {with_kernels}");
        let without = of(false);
        assert!(without <= allowed[1], "{encoder}: {without}");
    }
}

#[test]
fn dropout_draws_other_numbers_on_a_gpu_and_trains_as_well() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SESSIONS).unwrap();
    let results = both(&place, "s.toml", &[&SETS[..], &["tower.dropout=0.2"]].concat());
    let difference = difference(&results);
    assert!(difference > 0.0 && difference < 0.1, "{difference}");
    // It is for training alone: ranking again comes to the same.
    let evaluate = &mut machine::command(&place, &["evaluate", "cuda", "--json"]);
    let said: Value = serde_json::from_slice(&machine::succeed(evaluate).stdout).unwrap();
    assert_eq!(said["metrics"], results[1]["test"]);
}
