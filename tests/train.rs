//! `train`, `evaluate` and `compare` from outside, on a small generated data set.

mod common;

use std::fs;
use std::path::Path;

use common::{CONFIG, Place, json};
use polars::prelude::*;
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
    let plan = &json(&run.join("run.json"))["plan"];
    let [batches, step, optimizer] = ["batches", "step", "optimizer"].map(|key| plan[key].clone());
    assert_eq!([batches, step, optimizer], ["host", "mean-pool-loops", "host-loops"]);
    let names: Vec<String> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("events.out.tfevents")), "{names:?}");

    let again: Value = serde_json::from_str(&place.ok(&["evaluate", "run", "--json"])).unwrap();
    assert_eq!(again["metrics"], result["test"]);
    assert_eq!(again["lists"], result["test_lists"]);
    assert_eq!(again["groups"], result["test_groups"]);
    assert!(result["test_groups"]["history"].as_array().is_some_and(|groups| groups.len() == 5));
    let coverage = |n: &str| result["test_lists"][n]["coverage"].as_f64().unwrap();
    assert!(0.0 < coverage("10") && coverage("10") < coverage("50") && coverage("50") <= 1.0);
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
fn a_run_says_by_what_it_is_computed() {
    let place = Place::new();
    let said = |set: &str| {
        let command = ["train", "c.toml", "--out", "run", "--force", "--set", set];
        let output = place.command(&command).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let loops = said("seed=1");
    assert!(
        loops.starts_with("on cpu: batches host; steps mean-pool loops; moves loops"),
        "{loops}"
    );
    let ops = said("train.fused=false");
    assert!(
        ops.lines()
            .next()
            .unwrap()
            .ends_with("steps tensor ops; moves tensor ops; ranks tensor ops"),
        "{ops}"
    );
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
    // Nor is a run of another version's format gone on with from nothing.
    fs::remove_file(place.path("run/result.json")).unwrap();
    let mut info = json(&place.path("run/run.json"));
    info["format"] = "9.0".into();
    fs::write(place.path("run/run.json"), info.to_string()).unwrap();
    place.refused(&["train", "c.toml", "--out", "run", "--resume"], 1, &["the run run", "9.0"]);
    assert!(place.path("run/best.safetensors").exists());
    // What is only called alike is somebody's own, and so is a configuration written by hand.
    for (own, how, word) in [
        ("result.json.old", "--force", "result.json.old"),
        ("config.toml", "--resume", "by no training"),
    ] {
        fs::create_dir(place.path("own")).unwrap();
        let text = CONFIG.replace("history = 5", "history = \"auto\"");
        assert_ne!(text, CONFIG);
        fs::write(place.path("own").join(own), &text).unwrap();
        place.refused(&["train", "c.toml", "--out", "own", how], 2, &[word]);
        assert_eq!(fs::read_to_string(place.path("own").join(own)).unwrap(), text);
        fs::remove_dir_all(place.path("own")).unwrap();
    }
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
    train(&place, "run", &[]);
    let frame = |path: &str| {
        ParquetReader::new(fs::File::open(place.path(path)).unwrap()).finish().unwrap()
    };
    // By the definition: the distinct items of each test user's last fifth, all and new ones.
    let users = frame("data/users.parquet");
    let parts = users.column("split").unwrap().cast(&DataType::String).unwrap();
    let parts: Vec<bool> = parts.str().unwrap().iter().map(|part| part == Some("test")).collect();
    let sequences = frame("data/sequences.parquet");
    let list = |name: &str| -> Vec<u64> {
        let column = sequences.column(name).unwrap().cast(&DataType::UInt64).unwrap();
        column.u64().unwrap().into_no_null_iter().collect()
    };
    let mut of_users = vec![vec![]; parts.len()];
    list("user")
        .into_iter()
        .zip(list("item"))
        .for_each(|(user, item)| of_users[user as usize].push(item));
    let (mut all, mut new, mut with_new) = (0, 0, 0);
    for (items, _) in of_users.iter().zip(&parts).filter(|(_, tests)| **tests) {
        let (history, rest) = items.split_at(items.len() * 4 / 5);
        let targets: std::collections::BTreeSet<u64> = rest.iter().copied().collect();
        let own = targets.iter().filter(|item| !history.contains(item)).count();
        all += targets.len();
        new += own;
        with_new += usize::from(own > 0);
    }
    assert!(new < all, "{new} of {all}");
    let said = place.ok(&["evaluate", "run"]);
    assert!(said.contains(&format!("40 users of the test part, {all} targets")), "{said}");
    assert!(!said.contains("neither ranked"), "{said}");
    let said = place.ok(&["evaluate", "run", "--set", "evaluation.seen=exclude"]);
    let expected = format!("{with_new} users of the test part, {new} targets");
    assert!(said.contains(&expected) && said.contains("neither ranked"), "{expected}: {said}");
}

/// The definition once more, from the dataset's own files: of each test user the distinct items
/// after four fifths of the sequence, by their ids in the log.
#[test]
fn ranks_name_users_and_items_as_the_log_does() {
    use std::collections::{BTreeMap, BTreeSet};
    let place = Place::new();
    let result = train(&place, "run", &["--set", "train.steps=20"]);
    let read = |path: &str| {
        ParquetReader::new(fs::File::open(place.path(path)).unwrap()).finish().unwrap()
    };
    let frame = read("run/ranks.parquet");
    let texts = |name: &str| -> Vec<String> {
        let column = frame.column(name).unwrap().str().unwrap();
        column.iter().map(|text| text.unwrap().to_owned()).collect()
    };
    let numbers = |name: &str| -> Vec<u64> {
        let column = frame.column(name).unwrap().cast(&DataType::UInt64).unwrap();
        column.u64().unwrap().iter().map(Option::unwrap).collect()
    };
    let dataset = croloss::data::Dataset::load(&place.path("data")).unwrap();
    let mut expected = BTreeMap::new();
    for user in dataset.users_of(croloss::data::Split::Test) {
        let sequence = dataset.sequences.get(user);
        let targets: BTreeSet<u32> = sequence[sequence.len() * 4 / 5..].iter().copied().collect();
        expected.insert(user as u64, targets);
    }
    let mut found: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    let mut listed: BTreeMap<u64, u64> = BTreeMap::new();
    let (users, items, ranks) = (numbers("user"), numbers("item"), numbers("rank"));
    let (user_ids, item_ids) = (texts("original_user"), texts("original_item"));
    for row in 0..frame.height() {
        assert_eq!(user_ids[row], dataset.users[users[row] as usize]);
        assert_eq!(item_ids[row], dataset.items[items[row] as usize - 1].original);
        assert!(found.entry(users[row]).or_default().insert(items[row] as u32));
        *listed.entry(users[row]).or_default() += u64::from(ranks[row] <= 50);
    }
    assert_eq!(found, expected);
    let recall = |(user, hits): (&u64, &u64)| *hits as f64 / found[user].len() as f64;
    let mean = listed.iter().map(recall).sum::<f64>() / listed.len() as f64;
    assert!((mean - result["test"]["recall@50"].as_f64().unwrap()).abs() < 1e-12);
    // And each rank is its own item's: the best of a user stands where `recommend` has it.
    fs::write(place.path("one.jsonl"), {
        let user = users[0] as usize;
        let sequence = dataset.sequences.get(user);
        let known: Vec<&str> = sequence[..sequence.len() * 4 / 5]
            .iter()
            .map(|&item| dataset.items[item as usize - 1].original.as_str())
            .collect();
        serde_json::json!({ "history": known }).to_string()
    })
    .unwrap();
    let top = dataset.item_count().to_string();
    place.ok(&["recommend", "run", "--input", "one.jsonl", "--top", &top, "--out", "one.csv"]);
    let order = fs::read_to_string(place.path("one.csv")).unwrap();
    let place_of = |item: &str| {
        order.lines().skip(1).position(|line| line.split(',').any(|cell| cell == item)).unwrap()
    };
    for row in (0..frame.height()).take_while(|row| users[*row] == users[0]) {
        // Ties aside, of which a trained model has hardly any.
        assert_eq!(place_of(&item_ids[row]) as u64 + 1, ranks[row], "{}", item_ids[row]);
    }
}

#[test]
fn a_run_without_a_result_says_what_it_lacks() {
    let place = Place::new();
    train(&place, "run", &["--set", "train.steps=20"]);
    fs::remove_file(place.path("run/result.json")).unwrap();
    let call = ["compare", "run"];
    place.refused(&call, 1, &["run is not finished", "croloss train run/config.toml", "--resume"]);
    fs::write(place.path("run/failed.json"), "{\"reason\": \"the loss is NaN\"}").unwrap();
    place.refused(&call, 1, &["run failed", "the loss is NaN"]);
    fs::remove_file(place.path("run/failed.json")).unwrap();
    place.ok(&["train", "run/config.toml", "--out", "run", "--force"]);
    place.ok(&call);
    train(&place, "early", &["--set", "train.steps=20"]);
    fs::remove_file(place.path("early/best.safetensors")).unwrap();
    for call in
        [&["evaluate", "early"][..], &["train", "c.toml", "--out", "w", "--warm-start", "early"]]
    {
        place.refused(call, 1, &["early has no weights yet"]);
    }
}

/// Evaluation asks for no monitor: recall@10 may be measured no more.
#[test]
fn other_list_lengths_are_evaluated_than_were_monitored() {
    let place = Place::new();
    let result = train(&place, "run", &[]);
    let metrics = |more: &[&str]| -> Value {
        let out = place.ok(&[&["evaluate", "run", "--json"], more].concat());
        serde_json::from_str::<Value>(&out).unwrap()["metrics"].clone()
    };
    let of_fifty = metrics(&["--set", "evaluation.at=[50]"]);
    assert_eq!(of_fifty["recall@50"], result["test"]["recall@50"]);
    assert_eq!(of_fifty.get("recall@10"), None);
    let of_two = metrics(&["--at", "300,50"]);
    assert_eq!(of_two["ndcg@50"], result["test"]["ndcg@50"]);
    assert_eq!(of_two["recall@300"], 1.0, "all of the catalogue");
    assert_eq!(metrics(&["--at", "50", "--set", "evaluation.at=[7]"]), of_fifty);
    place.refused(&["evaluate", "run", "--set", "evaluation.at=[]"], 2, &["evaluation.at"]);
    let zero = place.command(&["evaluate", "run", "--at", "0"]).output().unwrap();
    assert_eq!(zero.status.code(), Some(2));
    place.refused(
        &["train", "run/config.toml", "--out", "b", "--set", "evaluation.at=[50]"],
        2,
        &["train.monitor", "recall@10"],
    );
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
