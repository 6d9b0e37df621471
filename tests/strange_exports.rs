//! Exports that come from anywhere: whatever they say, they are used or refused, and nothing else.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Place, json};
use croloss::data::Dataset;
use croloss::export::sha256_of;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

const ASK: [&str; 4] = ["recommend", "towers", "--input", "in.jsonl"];

fn exported() -> Place {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    place.ok(&["export", "run", "--out", "whole"]);
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let history = json!({"history": [dataset.items[0].original.as_str()]});
    fs::write(place.path("in.jsonl"), history.to_string()).unwrap();
    copy(&place);
    place.ok(&ASK);
    place
}

/// A new copy of the export, to be altered.
fn copy(place: &Place) -> PathBuf {
    let to = place.path("towers");
    let _ = fs::remove_dir_all(&to);
    fs::create_dir(&to).unwrap();
    for file in fs::read_dir(place.path("whole")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to
}

/// Changes the manifest, all checksums of files that are there made right.
fn say(folder: &Path, change: impl Fn(&mut Value)) {
    let path = folder.join("export.json");
    let mut manifest = json(&path);
    let files: BTreeMap<String, String> =
        serde_json::from_value(manifest["files"].clone()).unwrap();
    for name in files.keys() {
        manifest["files"][name] = json!(sha256_of(&fs::read(folder.join(name)).unwrap()));
    }
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn a_manifest_is_not_believed() {
    let place = exported();
    let refused = |change: &dyn Fn(&mut Value), word: &str| {
        say(&copy(&place), change);
        place.refused(&ASK, 1, &["export", word]);
    };
    refused(&|m| m["files"] = json!({}), "is altered");
    fs::write(place.path("secret"), "x").unwrap();
    let secret = place.path("secret").display().to_string();
    for name in [secret.as_str(), "../secret"] {
        refused(&|m| m["files"][name] = json!(sha256_of(b"x")), "is altered");
    }
    refused(&|m| m["items"] = json!(7), "says");
    refused(&|m| m["items"] = json!(1u64 << 40), "is altered");
    refused(&|m| m["dim"] = json!(0), "is altered");
    refused(&|m| m["dim"] = json!(4), "says");
    refused(&|m| m["history"] = json!(0), "is altered");
}

#[test]
fn no_file_leads_elsewhere_or_never_ends() {
    let place = exported();
    for name in ["items.parquet", "item_vectors.safetensors", "user_tower.pt", "README.md"] {
        let file = copy(&place).join(name);
        fs::rename(&file, place.path("moved")).unwrap();
        symlink(place.path("moved"), &file).unwrap();
        place.refused(&ASK, 1, &[name, "leads out of the export"]);
        fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        place.refused(&ASK, 1, &[name, "leads out of the export"]);
        fs::remove_file(&file).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        place.refused(&ASK, 2, &[name, "ordinary file"]);
    }
}

#[test]
fn shapes_and_kinds_are_held_against_the_manifest() {
    let place = exported();
    let vectors = |change: &dyn Fn(Tensor) -> Tensor, name: &str| {
        let folder = copy(&place);
        let path = folder.join("item_vectors.safetensors");
        let own = Tensor::read_safetensors(&path).unwrap().remove(0).1;
        Tensor::write_safetensors(&[(name, change(own))], &path).unwrap();
        say(&folder, |_| ());
    };
    for change in [
        &(|v: Tensor| v.narrow(0, 0, 10).contiguous()) as &dyn Fn(Tensor) -> Tensor,
        &|v: Tensor| v.narrow(1, 0, 4).contiguous(),
        &|v: Tensor| v.view(-1),
        &|v: Tensor| v.to_kind(Kind::Int),
    ] {
        vectors(change, "item_vectors");
        place.refused(&ASK, 1, &["item_vectors.safetensors", "export again"]);
    }
    vectors(&|v| v, "other");
    place.refused(&ASK, 1, &["has no item_vectors"]);
    // The towers of another width, with all else in order.
    let narrow = ["--set", "tower.dim=4", "--set", "train.steps=20"];
    place.ok(&[&["train", "c.toml", "--out", "narrow"], &narrow[..]].concat());
    place.ok(&["export", "narrow", "--out", "thin"]);
    let folder = copy(&place);
    fs::copy(place.path("thin/user_tower.pt"), folder.join("user_tower.pt")).unwrap();
    say(&folder, |_| ());
    place.refused(&ASK, 1, &["user tower", "not of these item vectors"]);
}

#[test]
fn an_altered_index_with_a_right_checksum_crashes_nothing() {
    let place = exported();
    place.ok(&["index", "whole"]);
    let whole = fs::read(place.path("whole/index.usearch")).unwrap();
    for attempt in 0..16 {
        let folder = copy(&place);
        let mut bytes = whole.clone();
        // Counts, heads, layers and places, and what is in between.
        let at = [0, 4, 9700, whole.len() - 4][attempt % 4] + 37 * (attempt / 4);
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 0x81;
        fs::write(folder.join("index.usearch"), &bytes).unwrap();
        let mut about = json(&folder.join("index.json"));
        about["sha256"] = json!(sha256_of(&bytes));
        fs::write(folder.join("index.json"), about.to_string()).unwrap();
        let run = place.command(&[&ASK[..], &["--index"]].concat()).output().unwrap();
        assert_eq!(run.status.signal(), None, "byte {at}");
        assert!(!String::from_utf8_lossy(&run.stderr).contains("panicked"), "byte {at}");
    }
    let folder = copy(&place);
    let mut about = json(&folder.join("index.json"));
    about["expansion_search"] = json!(u64::MAX);
    fs::write(folder.join("index.json"), about.to_string()).unwrap();
    place.refused(&[&ASK[..], &["--index"]].concat(), 1, &["index.usearch", "altered"]);
}

#[test]
fn weights_that_are_no_numbers_are_not_exported() {
    let place = exported();
    let path = place.path("run/best.safetensors");
    let weights = Tensor::read_safetensors(&path).unwrap();
    let _ = weights[0].1.view(-1).get(0).fill_(f64::NAN);
    Tensor::write_safetensors(&weights, &path).unwrap();
    place.refused(&["export", "run", "--out", "new"], 1, &["not all numbers"]);
    assert!(!place.path("new").exists() && !place.path(".new.partial").exists());
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let place = exported();
    for blocks in [0, 1, 4, 8] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" export run --out new");
        let run = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_croloss")])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{blocks}: {said}");
        assert_eq!(said.lines().count(), 1, "{blocks}: {said}");
        assert!(said.contains("File too large"), "{blocks}: {said}");
        assert!(!place.path("new").exists() && !place.path(".new.partial").exists());
    }
}
