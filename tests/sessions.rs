//! Session models from outside: training on positions, evaluation at every position.

mod common;

use std::fs;

use common::{Place, SESSIONS, json};
use croloss::data::{Dataset, Split};

#[test]
fn a_session_model_trains_repeats_and_is_evaluated_again_to_the_digit() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SESSIONS).unwrap();
    place.ok(&["train", "s.toml", "--out", "a"]);
    place.ok(&["train", "s.toml", "--out", "b", "--set", "threads=1"]);
    let result = json(&place.path("a/result.json"));
    assert!(result["test"]["last-recall@20"].as_f64().unwrap() > 0.0, "{result}");
    assert_eq!(result["test"], json(&place.path("b/result.json"))["test"]);
    let again = place.ok(&["evaluate", "a", "--split", "test", "--json"]);
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["metrics"], result["test"]);
    place.refused(
        &["train", "s.toml", "--out", "c", "--set", "sampling.top_k=99"],
        2,
        &["sampling.top_k = 99", "59 candidates"],
    );
}

/// Of 59 candidates out of N items ⌈59·100/N⌉ are to be expected among the first 100.
#[test]
fn a_cut_above_the_rank_that_the_loss_asks_for_is_refused() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SESSIONS).unwrap();
    let items = Dataset::load(&place.path("data")).unwrap().item_count();
    let wanted = (5900.0 / items as f64).ceil() as usize;
    let [few, enough, all] = [wanted - 1, wanted, 0].map(|top_k| format!("sampling.top_k={top_k}"));
    let sets = ["--set", "loss.kind=sl-at-k", "--set", "loss.at=100", "--set", "train.steps=20"];
    let words = [
        format!("sampling.top_k = {}", wanted - 1),
        format!("catalogue of {items} items"),
        format!("to {wanted} or more"),
    ];
    let words = [&["loss.at = 100", "59 candidates"][..], &words.each_ref().map(String::as_str)];
    let call =
        |out, top_k| [&["train", "s.toml", "--out", out, "--set", top_k][..], &sets].concat();
    place.refused(&call("a", few.as_str()), 2, &words.concat());
    assert!(wanted > 1 && !place.path("a").exists());
    place.ok(&call("a", enough.as_str()));
    place.ok(&call("b", all.as_str()));
}

#[test]
fn other_encoders_losses_and_optimisers_train_too() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SESSIONS).unwrap();
    let sets = [
        "tower={encoder=\"gru\", tied=false, output_bias=true, activation=\"elu\"}",
        "loss.kind=bpr-max",
        "optimizer={kind=\"adagrad\", learning_rate=0.1}",
        "sampling.top_k=0",
    ];
    let mut arguments = vec!["train", "s.toml", "--out", "run"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    place.ok(&arguments);
    assert!(json(&place.path("run/result.json"))["test"]["mrr@20"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_epoch_is_one_pass_over_the_training_sessions_and_ends_with_a_validation() {
    let place = Place::new();
    let epochs = SESSIONS
        .replace("steps = 40\nvalidate_every = 20", "epochs = 2")
        .replace("batch = 32", "batch = 48");
    fs::write(place.path("s.toml"), epochs).unwrap();
    place.ok(&["train", "s.toml", "--out", "run"]);
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let sessions = dataset.users_of(Split::Train).len() as u64;
    let per_epoch = sessions.div_ceil(48);
    assert!(!sessions.is_multiple_of(48) && per_epoch > 1, "{sessions}");
    assert_eq!(json(&place.path("run/result.json"))["steps"], 2 * per_epoch);
    let log = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let validated: Vec<u64> = lines
        .filter(|line| line["part"] == "validation")
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(validated, [per_epoch, 2 * per_epoch]);
    let saved = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(saved.contains("epochs = 2") && !saved.contains("\nsteps = "), "{saved}");
    place.ok(&["evaluate", "run", "--split", "test"]);
    // Of users, only those count that have a target.
    place.ok(&["train", "c.toml", "--out", "users", "--set", "train.epochs=2"]);
    let long = |user: &usize| dataset.sequences.get(*user).len() > 4;
    let users = dataset.users_of(Split::Train).iter().filter(|user| long(user)).count() as u64;
    assert_eq!(json(&place.path("users/result.json"))["steps"], 2 * users.div_ceil(32));
}
