//! `train` where a loss is no number, from outside.

mod common;

use std::fs;

use common::{Place, json};
use polars::prelude::*;
use tch::{Kind, Tensor};

/// Small batches, so that an item is in some of them and not in others, and no validation between.
const SMALL: [&str; 6] =
    ["--set", "sampling.batch=2", "--set", "train.steps=120", "--set", "train.validate_every=120"];

/// A run whose weights of one item are no numbers; that item by its original id, and its row.
fn broken_run(place: &Place) -> (String, i64) {
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    let file = fs::File::open(place.path("run/items.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let row = 3;
    let name = frame.column("original").unwrap().str().unwrap().get(row - 1).unwrap().to_owned();
    let weights = place.path("run/best.safetensors");
    let tensors = Tensor::read_safetensors(&weights).unwrap();
    let (_, items) = tensors.iter().find(|(name, _)| name == "items").unwrap();
    let _ = items.get(row as i64).fill_(f64::NAN);
    Tensor::write_safetensors(&tensors, &weights).unwrap();
    (name, row as i64)
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_with_the_rows_of_its_batch() {
    let place = Place::new();
    let (item, _) = broken_run(&place);
    let train = ["train", "c.toml", "--warm-start", "run", "--out", "warm"];
    let call = [&train[..], &SMALL].concat();
    let said = format!("1 had weights that are no numbers, \"{item}\" the first of them");
    place.refused(&call, 1, &["the loss is NaN at step ", &said, "warm/diverged.json", "diverged"]);
    let first = json(&place.path("warm/diverged.json"));
    assert_eq!(first["broken_items"], serde_json::json!([item]));
    assert!(first["items"].as_array().unwrap().iter().any(|own| *own == *item));
    assert_eq!(first["parameters"], serde_json::json!([]));
    let bounded = [&call[..], &["--force", "--set", "train.skip_batches=2"]].concat();
    let output = place.command(&bounded).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.matches("the batch is left out").count(), 2, "{told}");
    assert!(told.contains("after 2 batches that were left out"), "{told}");
    let last = json(&place.path("warm/diverged.json"));
    assert!(last["step"].as_u64() > first["step"].as_u64(), "{first} {last}");
}

#[test]
fn a_batch_that_is_left_out_moves_nothing() {
    let place = Place::new();
    let prepare = ["prepare", "--input", "log.csv", "--user", "user", "--item", "item"];
    place.ok(&[&prepare[..], &["--time", "time", "--split", "none", "--out", "data", "--force"]]
        .concat());
    let (_, row) = broken_run(&place);
    let train = ["train", "c.toml", "--warm-start", "run", "--out", "warm"];
    let many = ["--set", "train.skip_batches=120"];
    place.ok(&[&train[..], &SMALL, &many].concat());
    let [before, after] = ["run", "warm"].map(|run| {
        let tensors = Tensor::read_safetensors(place.path(run).join("best.safetensors")).unwrap();
        tensors.into_iter().find(|(name, _)| name == "items").unwrap().1
    });
    let finite = after.isfinite().all_dim(1, false);
    assert_eq!(i64::try_from(finite.logical_not().nonzero().view(-1)).unwrap(), row);
    let moved = (&after - &before).abs().nan_to_num(0.0, None, None).sum(Kind::Float);
    assert!(moved.double_value(&[]) > 0.0);
}
