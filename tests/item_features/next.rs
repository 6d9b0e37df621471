//! `train --warm-start`: values of fields are taken over by their names.

use std::fs;

use croloss::data::Schema;
use serde_json::json;

use crate::common::json;
use crate::known::{Known, prepare, tied, write_records};
use crate::weights::{rows, tensors};

#[test]
fn a_warm_start_takes_the_vectors_of_values_by_their_names() {
    let of_users = "[tower]\nuser_features = [\"country\"]";
    let mut known = Known::new(&tied().replace("[tower]", of_users));
    let keep = ["--set", "train.keep_optimizer=true", "--set", "optimizer.kind=adagrad"];
    known.place.ok(&[&["train", "c.toml", "--out", "run", "--force"][..], &keep].concat());
    // Some brands and tags are gone and others are new, prices lie elsewhere a little.
    for record in &mut known.records {
        let renamed = |text: &str| text.replace("\"4\"", "\"new\"").replace("\"9\"", "\"another\"");
        if let Some(brand) = record["brand"].as_str() {
            record["brand"] = json!(renamed(brand));
        }
        if let Some(price) = record["price"].as_f64() {
            record["price"] = json!(price + 0.01);
        }
    }
    let place = &known.place;
    write_records(place, "next.jsonl", &known.records);
    let users = fs::read_to_string(place.path("users.jsonl")).unwrap();
    fs::write(place.path("next-users.jsonl"), users.replace("\"country\":3", "\"country\":8"))
        .unwrap();
    prepare(place, ["next.jsonl", "next-users.jsonl"], "next");
    let still = ["--set", "optimizer.learning_rate=1e-30", "--set", "train.steps=1"];
    let fields = "tower.item_features=[\"brand\", \"price\", \"tags\"]";
    let next = ["--set", "data.path=next", "--set", fields, "--set", "sampling.batch=2"];
    let call = |out: &'static str, more: &[&'static str]| {
        [&["train", "c.toml", "--out", out], &next[..], &still, &keep, more].concat()
    };
    let output = place.command(&call("warm", &["--warm-start", "run"])).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    place.ok(&call("cold", &[]));
    let of = |run: &str, file: &str| tensors(place, &format!("{run}/{file}.safetensors"));
    for (whose, table) in [("items", "item_features"), ("users", "user_features")] {
        let schema = |run: &str| -> Schema {
            let all = json(&place.path(run).join("features.json"));
            serde_json::from_value(all[whose].clone()).unwrap()
        };
        let [before, now] = ["run", "warm"].map(|run| rows(&schema(run)));
        let taken = now.keys().filter(|value| before.contains_key(*value)).count();
        assert!(taken < now.len() && taken < before.len(), "{before:?} {now:?}");
        let told = format!("of {} values of {whose}' fields {taken} are known there", now.len());
        assert!(said.contains(&told), "{told}: {said}");
        let [old, new, cold] =
            ["run", "warm", "cold"].map(|run| of(run, "best").remove(table).unwrap());
        for (value, &row) in &now {
            let expected = match before.get(value) {
                Some(&there) => old.get(there),
                None => cold.get(row),
            };
            let apart = (new.get(row) - expected).abs().max().double_value(&[]);
            // What is missing begins at 0, which the rate moves.
            assert!(apart < 1e-20, "{value:?}: {apart}");
        }
        let [mut old, mut new] = ["run", "warm"].map(|run| of(run, "optimizer"));
        assert!(i64::try_from(&new[&format!("{table}/step")]).unwrap() > 60);
        let [old, new] =
            [&mut old, &mut new].map(|own| own.remove(&format!("{table}/sum")).unwrap());
        for (value, &row) in &now {
            let expected = match before.get(value) {
                Some(&there) => old.get(there),
                None => old.get(0).zeros_like(),
            };
            let added = new.get(row) - &expected;
            // Squares of one step's gradients alone.
            let least = added.min().double_value(&[]);
            assert!(least >= 0.0, "{value:?}: {least}");
        }
    }
    fs::remove_file(place.path("run/features.json")).unwrap();
    let again = call("again", &["--warm-start", "run"]);
    place.refused(&again, 1, &["run/features.json"]);
    let without = [
        "train",
        "c.toml",
        "--warm-start",
        "warm",
        "--out",
        "none",
        "--set",
        "tower.item_features=[]",
    ];
    place.refused(&without, 2, &["warm has weights of another shape", "tower.item_features"]);
}
