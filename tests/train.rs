//! `train`, `evaluate` and `compare` from outside, on a small generated data set.

mod common;

use std::fs;
use std::path::Path;

use common::{CONFIG, Place, json};
use serde_json::Value;

fn train(place: &Place, out: &str, more: &[&str]) -> Value {
    place.ok(&[&["train", "c.toml", "--out", out], more].concat());
    json(&place.path(out).join("result.json"))
}

#[test]
fn a_run_leaves_all_its_files_and_its_result_can_be_had_again() {
    let place = Place::new();
    let result = train(&place, "run", &[]);
    let run = place.path("run");
    for name in ["config.toml", "run.json", "metrics.jsonl", "best.safetensors", "result.json"] {
        assert!(run.join(name).exists(), "{name}");
    }
    let names: Vec<String> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("events.out.tfevents")), "{names:?}");

    let again: Value = serde_json::from_str(&place.ok(&["evaluate", "run", "--json"])).unwrap();
    assert_eq!(again["metrics"], result["test"]);
    let again = place.ok(&["evaluate", "run", "--split", "validation", "--json"]);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["metrics"], result["validation"]);

    let lines: Vec<Value> = fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |part: &str| lines.iter().filter(|line| line["part"] == part).count();
    assert_eq!((of("train"), of("validation"), of("test")), (6, 3, 1));
    let best = lines.iter().find(|l| l["part"] == "validation" && l["step"] == result["best_step"]);
    assert_eq!(best.unwrap()["recall@10"], result["validation"]["recall@10"]);
    assert!(result["test"]["recall@50"].as_f64().unwrap() > 0.0);

    let table = place.ok(&["compare", "run", "run"]);
    let recall = 100.0 * result["test"]["recall@50"].as_f64().unwrap();
    assert!(table.contains(&format!("{recall:.2}")), "{table}");
}

#[test]
fn the_saved_configuration_makes_the_same_run_again() {
    let place = Place::new();
    let first = train(&place, "a", &["--set", "loss.kind=cro-lambda", "--set", "seed=7"]);
    place.ok(&["train", "a/config.toml", "--out", "b"]);
    let second = json(&place.path("b/result.json"));
    assert_eq!(first["test"], second["test"]);
    assert_eq!(
        fs::read(place.path("a/best.safetensors")).unwrap(),
        fs::read(place.path("b/best.safetensors")).unwrap()
    );
    let third = train(&place, "c", &["--set", "loss.kind=cro-lambda", "--set", "seed=8"]);
    assert_ne!(first["test"], third["test"]);
}

#[test]
fn every_loss_trains() {
    let place = Place::new();
    for loss in ["cro", "cro-lambda", "cross-entropy", "triplet", "bpr"] {
        train(&place, loss, &["--set", &format!("loss.kind={loss}"), "--set", "train.steps=20"]);
    }
}

#[test]
fn training_stops_when_nothing_gets_better() {
    let place = Place::new();
    let sets = ["--set", "train.patience=1", "--set", "optimizer.learning_rate=1e-12"];
    let result = train(&place, "run", &sets);
    assert_eq!((&result["steps"], &result["best_step"]), (&40.into(), &20.into()));
}

#[test]
fn a_run_that_stands_there_is_replaced_only_by_force() {
    let place = Place::new();
    train(&place, "run", &[]);
    let before = fs::read(place.path("run/result.json")).unwrap();
    place.refused(&["train", "c.toml", "--out", "run"], 2, &["run exists already", "--force"]);
    assert_eq!(fs::read(place.path("run/result.json")).unwrap(), before);
    train(&place, "run", &["--force", "--set", "seed=2"]);
    assert_ne!(fs::read(place.path("run/result.json")).unwrap(), before);
    place.refused(&["train", "c.toml", "--out", "data", "--force"], 2, &["not a run folder"]);
    assert!(place.path("data/dataset.toml").exists());
    place.refused(&["train", "c.toml", "--out", ".", "--force"], 2, &["not a run folder"]);
    assert!(place.path("c.toml").exists());
}

#[test]
fn what_cannot_work_is_refused_before_a_folder_is_made() {
    let place = Place::new();
    let arguments = |more: &[&'static str]| -> Vec<&'static str> {
        [&["train", "c.toml", "--out", "run"], more].concat()
    };
    fs::write(place.path("typo.toml"), CONFIG.replace("history", "histroy")).unwrap();
    fs::write(place.path("type.toml"), CONFIG.replace("dim = 8", "dim = \"8\"")).unwrap();
    fs::write(place.path("broken.toml"), "[data\n").unwrap();
    fs::write(place.path("value.toml"), CONFIG.replace("recall@10", "recal@10")).unwrap();
    let cases: [(Vec<&str>, i32, &[&str]); 12] = [
        (vec!["train", "typo.toml", "--out", "run"], 2, &["typo.toml:10", "histroy", "`history`"]),
        (vec!["train", "type.toml", "--out", "run"], 2, &["type.toml:9", "dim"]),
        (vec!["train", "broken.toml", "--out", "run"], 2, &["broken.toml:1"]),
        (vec!["train", "value.toml", "--out", "run"], 2, &["value.toml", "recal@10"]),
        (vec!["train", "none.toml", "--out", "run"], 1, &["none.toml"]),
        (arguments(&["--set", "loss.alhpa=1"]), 2, &["--set", "alhpa", "`alpha`"]),
        (
            arguments(&["--set", "loss.kind=bpr", "--set", "loss.alpha=1"]),
            2,
            &["loss.alpha", "bpr"],
        ),
        (arguments(&["--set", "data.path=nowhere"]), 1, &["nowhere", "croloss prepare"]),
        (arguments(&["--set", "device=cuda:99"]), 2, &["cuda:99"]),
        (arguments(&["--set", "device=gpu"]), 2, &["gpu", "write auto"]),
        (
            arguments(&["--set", "sampling.batch=5000"]),
            2,
            &["sampling.batch = 5000", "training users"],
        ),
        (arguments(&["--set", "evaluation.at=[50]"]), 2, &["train.monitor", "recall@10"]),
    ];
    for (call, status, words) in cases {
        place.refused(&call, status, words);
        assert!(!place.path("run").exists(), "{call:?} left a folder");
    }
}

#[test]
fn a_diverged_training_says_so() {
    let place = Place::new();
    let arguments = ["train", "c.toml", "--out", "run", "--set", "optimizer.learning_rate=1e38"];
    place.refused(&arguments, 1, &["diverged", "learning_rate"]);
    assert!(!place.path("run/result.json").exists());
}

#[test]
fn evaluation_refuses_what_does_not_belong_to_the_run() {
    let place = Place::new();
    place.refused(&["evaluate", "data"], 1, &["not a run folder"]);
    train(&place, "run", &[]);
    let weights = place.path("run/best.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    place.refused(&["evaluate", "run"], 1, &["best.safetensors"]);
    fs::write(&weights, whole).unwrap();
    place.ok(&[
        "generate", "--preset", "demo", "--users", "400", "--items", "300", "--seed", "2", "--out",
        "2.csv",
    ]);
    place.ok(&[
        "prepare", "--input", "2.csv", "--user", "user", "--item", "item", "--time", "time",
        "--out", "data", "--force",
    ]);
    place.refused(&["evaluate", "run"], 2, &["checksums differ"]);
}

#[test]
fn seen_items_can_be_taken_out_of_the_ranking() {
    let place = Place::new();
    let result = train(&place, "run", &[]);
    let said = place.ok(&["evaluate", "run"]);
    assert!(
        said.contains("40 users of the test part, ") && !said.contains("seen targets"),
        "{said}"
    );
    let said = place.ok(&["evaluate", "run", "--set", "evaluation.seen=exclude"]);
    assert!(said.contains("a user's repeats counted once\nItems of a user's history"), "{said}");
    let without = place.ok(&["evaluate", "run", "--json", "--set", "evaluation.seen=exclude"]);
    let without: Value = serde_json::from_str(&without).unwrap();
    let (kept, excluded) = (&result["test"]["recall@50"], &without["metrics"]["recall@50"]);
    assert!(excluded.as_f64() > kept.as_f64(), "{excluded} {kept}");
}

/// Deferred Adam is dense Adam: a whole training, on real data where it is at hand, ends at the
/// same recall. The order of float additions alone moves it by some hundredths of a point.
#[test]
fn deferred_adam_trains_to_the_recall_of_dense_adam() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = root.join("../shared/data/amazon-beauty/useritem.txt.gz");
    if !log.exists() {
        eprintln!("skipped: {} is missing", log.display());
        return;
    }
    let place = Place::new();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let description = text(&root.join("datasets/amazon-beauty.toml"));
    place.ok(&["prepare", &description, "--input", &text(&log), "--out", "beauty"]);
    let configuration = text(&root.join("configs/amazon-beauty.toml"));
    let train = |kind: &str| {
        let kind = format!("optimizer.kind={kind}");
        let sets = ["data.path=beauty", "train.steps=1500", "device=cpu", &kind];
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let head = ["train", configuration.as_str(), "--out", "run", "--force"];
        place.ok(&head.into_iter().chain(sets).collect::<Vec<_>>());
        json(&place.path("run/result.json"))
    };
    let (deferred, dense) = (train("deferred-adam"), train("adam"));
    for n in [20, 50, 100, 200, 500] {
        let [a, b] =
            [&deferred, &dense].map(|r| r["test"][format!("recall@{n}")].as_f64().unwrap());
        assert!((a - b).abs() < 0.003, "recall@{n}: {a} deferred, {b} dense");
        assert!(a > 0.01, "recall@{n}: {a}");
    }
}
