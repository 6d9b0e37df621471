//! `train --warm-start` from outside: what a run takes over from an earlier one.

mod common;
#[path = "common/next_day.rs"]
mod next_day;

use std::collections::HashMap;
use std::fs;

use common::{Place, json};
use next_day::{STILL, next_day};
use polars::prelude::*;
use tch::{Kind, Tensor};

/// The row of each item of a dataset by its original id.
fn rows(place: &Place, dataset: &str) -> HashMap<String, i64> {
    let file = fs::File::open(place.path(dataset).join("items.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let ids = frame.column("item").unwrap().u32().unwrap().iter();
    let names = frame.column("original").unwrap().str().unwrap().iter();
    names.zip(ids).map(|(name, id)| (name.unwrap().to_owned(), id.unwrap() as i64)).collect()
}

fn tensors(place: &Place, file: &str) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(place.path(file)).unwrap().into_iter().collect()
}

fn warm<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let call = ["train", "c.toml", "--set", "data.path=next", "--warm-start", "run", "--out", out];
    [&call[..], more].concat()
}

#[test]
fn weights_are_those_of_the_items_of_the_same_original_id() {
    let place = Place::new();
    next_day(&place);
    let untied = ["--set", "tower.normalize=false", "--set", "tower.tied=false"];
    let untied = [&untied[..], &["--set", "tower.output_bias=true"]].concat();
    let ligr = ["--set", "tower.encoder=transformer", "--set", "tower.layer=ligr"];
    let ligr = [&ligr[..], &["--set", "loss.kind=bce"]].concat();
    for sets in [vec![], untied, ligr] {
        place.ok(&[&["train", "c.toml", "--out", "run", "--force"], &sets[..]].concat());
        let still = [&sets[..], &STILL, &["--force"]].concat();
        let output = place.command(&warm("warm", &still)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let cold = ["train", "c.toml", "--set", "data.path=next", "--out", "cold"];
        place.ok(&[&cold[..], &still].concat());
        let [before, now] = ["data", "next"].map(|dataset| rows(&place, dataset));
        let [old, new, cold] =
            ["run", "warm", "cold"].map(|run| tensors(&place, &format!("{run}/best.safetensors")));
        let known = now.keys().filter(|name| before.contains_key(*name)).count();
        let told = format!(
            "{known} items are known there, {} are new, {} are gone",
            now.len() - known,
            before.len() - known
        );
        assert!(said.contains(&told), "{told}: {said}");
        assert!(known > 50 && known < now.len() && known < before.len(), "{told}");
        for (name, value) in &new {
            if !["items", "outputs"].contains(&name.as_str()) {
                assert_eq!(value, &old[name], "{name}");
                continue;
            }
            assert!(value.get(0).abs().sum(Kind::Float).double_value(&[]) == 0.0);
            for (item, &row) in &now {
                let expected = match before.get(item) {
                    Some(&there) => old[name].get(there),
                    None => cold[name].get(row),
                };
                let apart = (value.get(row) - expected).abs().max().double_value(&[]);
                // A bias begins at 0, which the rate moves.
                assert!(apart < 1e-20, "{name} of {item}: {apart}");
            }
        }
    }
}

#[test]
fn what_the_optimisers_know_comes_along_where_it_was_kept() {
    let place = Place::new();
    next_day(&place);
    let adagrad = ["--set", "optimizer.kind=adagrad", "--set", "train.keep_optimizer=true"];
    place.ok(&[&["train", "c.toml", "--out", "run"], &adagrad[..]].concat());
    // A batch of two users, whose own items and candidates alone have a gradient.
    let small = ["--set", "sampling.batch=2"];
    place.ok(&warm("warm", &[&adagrad[..], &STILL, &small].concat()));
    let [before, now] = ["data", "next"].map(|dataset| rows(&place, dataset));
    let [old, new] =
        ["run", "warm"].map(|run| tensors(&place, &format!("{run}/optimizer.safetensors")));
    let (mut same, mut moved) = (0, 0);
    for (item, &row) in &now {
        let own = new["items/sum"].get(row);
        let expected = match before.get(item) {
            Some(&there) => old["items/sum"].get(there),
            None => own.zeros_like(),
        };
        match own == expected {
            true => same += 1,
            false => moved += 1,
        }
        assert!(own.ge_tensor(&expected).all().int64_value(&[]) == 1, "squares are added alone");
    }
    assert!(moved > 0 && moved < 60 && same > 100, "{moved} have moved, {same} have not");
    assert!(i64::try_from(&new["items/step"]).unwrap() > 60);
    // A rate that falls to the last step counts from the first one.
    let cosine = [&adagrad[..], &["--set", "optimizer.schedule=cosine"]].concat();
    let adam = ["--set", "train.keep_optimizer=true"];
    for (out, sets) in [("cosine", &cosine[..]), ("adam", &adam)] {
        let output = place.command(&warm(out, sets)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("is not taken"), "{said}");
        let steps = json(&place.path(out).join("result.json"))["steps"].as_i64().unwrap();
        let counted = &tensors(&place, &format!("{out}/optimizer.safetensors"))["items/step"];
        assert_eq!(i64::try_from(counted).unwrap(), steps);
    }
}

#[test]
fn what_would_not_fit_is_refused_before_a_folder_is_made() {
    let place = Place::new();
    next_day(&place);
    place.ok(&["train", "c.toml", "--out", "run"]);
    for (set, words) in [
        ("tower.dim=16", vec!["run has weights of another shape", "tower.dim (8, now 16)"]),
        ("tower.encoder=gru", vec!["another shape", "tower.encoder (\"mean-pool\", now \"gru\")"]),
        ("tower.repeats=true", vec!["`repeats` is missing", "tower.repeats (not set, now true)"]),
    ] {
        place.refused(&warm("warm", &["--set", set]), 2, &words);
    }
    // What changes no shape may differ.
    place.ok(&warm("longer", &["--set", "tower.history=9", "--set", "tower.scale=5.0"]));
    let own = ["--force", "--warm-start", "run"];
    place.refused(
        &[&["train", "c.toml", "--out", "./run"], &own[..]].concat(),
        2,
        &["removed for it"],
    );
    let log = fs::read_to_string(place.path("log.csv")).unwrap();
    let (head, lines) = log.split_once('\n').unwrap();
    fs::write(place.path("next.csv"), format!("{head}\n{}", lines.replace(",", ",other-")))
        .unwrap();
    let prepare =
        ["prepare", "--input", "next.csv", "--user", "user", "--item", "item", "--out", "next"];
    place.ok(&[&prepare[..], &["--force"]].concat());
    place.refused(&warm("warm", &[]), 2, &["run knows none of the items in next"]);
    fs::remove_file(place.path("run/items.parquet")).unwrap();
    place.refused(&warm("warm", &[]), 1, &["run/items.parquet"]);
    fs::rename(place.path("run"), place.path("gone")).unwrap();
    place.refused(&warm("warm", &[]), 1, &["run is not a run folder"]);
    assert!(!place.path("warm").exists());
}
