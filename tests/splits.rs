//! Splits from outside that are not of users: everything trains, or time is cut.

mod common;

use std::fs;

use common::{CONFIG, Place, json};

const LOG: [&str; 9] =
    ["prepare", "--input", "log.csv", "--user", "user", "--item", "item", "--time", "time"];

/// Prepares the generated log anew.
fn prepare(place: &Place, options: &[&str]) -> String {
    place.ok(&[&LOG[..], &["--out", "data", "--force"], options].concat())
}

#[test]
fn without_a_split_all_trains_for_a_fixed_time_and_nothing_is_measured() {
    let place = Place::new();
    let said = prepare(&place, &["--split", "none"]);
    assert!(said.contains("users that test") && !said.contains("last fifths"), "{said}");
    let dataset = croloss::data::Dataset::load(&place.path("data")).unwrap();
    assert_eq!(dataset.users_of(croloss::data::Split::Train).len(), dataset.users.len());

    let said = place.ok(&["train", "c.toml", "--out", "run"]);
    assert!(said.contains("Nothing was measured") && !said.contains("Recall"), "{said}");
    let result = json(&place.path("run/result.json"));
    assert_eq!((result["steps"].as_u64(), result["best_step"].as_u64()), (Some(60), Some(60)));
    assert_eq!((&result["test"], &result["validation"]), (&serde_json::json!({}), &result["test"]));
    // The weights are those of the last step, whenever a validation would have been.
    let weights = |run: &str| fs::read(place.path(run).join("best.safetensors")).unwrap();
    let train = |out: &str, set: &str| place.ok(&["train", "c.toml", "--out", out, "--set", set]);
    train("often", "train.validate_every=1");
    train("short", "train.steps=59");
    assert!(weights("run") == weights("often") && weights("run") != weights("short"));
    train("epochs", "train.epochs=1");

    let all = "the dataset is all training (split.by = \"none\")";
    for (arguments, words) in [
        (&["evaluate", "run"][..], ["no test users (split.by = \"none\")", "another split"]),
        (&["evaluate", "run", "--split", "validation"], ["no validation users", "measured"]),
        (&["compare", "run", "run"], ["nothing was measured in run", "all training"]),
    ] {
        place.refused(arguments, 2, &words);
    }
    fs::write(place.path("c.toml"), CONFIG.replace("steps = 60", "")).unwrap();
    place.refused(&["train", "c.toml", "--out", "no"], 2, &[all, "set train.epochs, or"]);
    fs::write(place.path("s.toml"), "base = \"c.toml\"\n[[grid]]\nname = \"g\"\n").unwrap();
    place.refused(&["sweep", "s.toml"], 2, &["data is all training (split.by = \"none\")"]);

    place.ok(&["evaluate", "run", "--split", "train"]);
    place.ok(&["export", "run", "--out", "towers"]);
    for from in [&["run"][..], &["towers", "--data", "data"]] {
        let to = ["--all-users", "--out", "top.csv", "--force"];
        place.ok(&[&["recommend"], from, &to[..]].concat());
        assert!(fs::read_to_string(place.path("top.csv")).unwrap().lines().count() > 4_000);
    }
}
