//! `train --warm-start`: values of fields are taken over by their names, and what is set aside to be
//! measured starts anew.

use std::collections::HashMap;
use std::fs;

use croloss::data::{Dataset, Schema};
use serde_json::json;

use crate::common::{CONFIG, json};
use crate::known::{Known, prepare, prepare_with, tied, untied, write_records};
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

#[test]
fn a_warm_start_leaves_out_what_is_set_aside_to_be_measured_and_nothing_else() {
    for configuration in [untied(), CONFIG.to_owned()] {
        let known = Known::new(&configuration);
        let place = &known.place;
        // Some items are met no more: the catalogue has them from the file of items.
        let log = fs::read_to_string(place.path("log.csv")).unwrap();
        let is_met = |line: &&str| !line.split(',').nth(1).unwrap().ends_with('7');
        let met: Vec<&str> = log.lines().filter(is_met).collect();
        fs::write(place.path("log.csv"), met.join("\n") + "\n").unwrap();
        let options = ["--split", "leave-one-out", "--cold-one-in", "5"];
        prepare_with(place, ["items.jsonl", "users.jsonl"], "next", &options);
        let still = ["--set", "optimizer.learning_rate=1e-30", "--set", "train.steps=1"];
        let call = |out: &'static str, more: &[&'static str]| {
            let base = ["train", "c.toml", "--set", "data.path=next", "--out", out];
            [&base[..], &still, more].concat()
        };
        let output = place.command(&call("warm", &["--warm-start", "run"])).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        place.ok(&call("fresh", &[]));

        let [before, now] =
            ["data", "next"].map(|folder| Dataset::load(&place.path(folder)).unwrap());
        let aside = now.cold.unwrap().items;
        let told = format!("; {} of those known are set aside to be measured", aside.len());
        assert!(said.contains(&told), "{told}: {said}");
        let there: HashMap<&str, i64> =
            before.items.iter().zip(1..).map(|(item, id)| (item.original.as_str(), id)).collect();
        let [old, warm, fresh] =
            ["run", "warm", "fresh"].map(|run| tensors(place, &format!("{run}/best.safetensors")));
        for name in old.keys().filter(|name| ["items", "outputs"].contains(&name.as_str())) {
            let (mut left, mut unmet) = (0, 0);
            for (item, id) in now.items.iter().zip(1u32..) {
                let old = there.get(item.original.as_str()).map(|row| old[name].get(*row));
                let is_aside = aside.binary_search(&id).is_ok();
                let expected = match &old {
                    Some(old) if !is_aside => old.shallow_clone(),
                    _ => fresh[name].get(id.into()),
                };
                let own = warm[name].get(id.into());
                let apart = (&own - expected).abs().max().double_value(&[]);
                // A bias begins at 0, which the rate moves.
                assert!(apart < 1e-20, "{name} of {}: {apart}", item.original);
                let was = old.is_some_and(|old| old.abs().max().double_value(&[]) > 0.0);
                left += usize::from(was && is_aside);
                unmet += usize::from(was && item.count == 0);
                if is_aside && configuration != CONFIG {
                    assert_eq!(own.abs().max().double_value(&[]), 0.0, "{}", item.original);
                }
            }
            assert!(left > 20 && unmet > 10, "{name}: {left} {unmet}");
        }
    }
}
