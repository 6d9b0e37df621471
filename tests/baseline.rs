//! `croloss baseline` from outside: a table, JSON, what is kept with the dataset, what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::{Place, json};
use croloss::data::{Dataset, Split};
use serde_json::Value;
use toml::Table;

fn parsed(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn baselines_are_measured_once_and_kept_with_the_dataset() {
    let place = Place::new();
    let first = place.ok(&["baseline", "data", "--at", "10,50", "--json"]);
    let rows = parsed(&first);
    let names: Vec<&str> = rows.iter().map(|row| row["recipe"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["popularity", "transitions", "item-knn", "ease", "als"]);
    for row in &rows {
        assert_eq!(row["kept"], false);
        assert!(row["metrics"]["recall@50"].as_f64().unwrap() > 0.0, "{row}");
        let targets = |way: &str| {
            let groups = row["groups"][way].as_array().unwrap();
            groups.iter().map(|group| group["targets"].as_u64().unwrap()).sum::<u64>()
        };
        let all = row["targets"].as_u64().unwrap();
        assert_eq!([targets("popularity"), targets("history")], [all, all]);
    }
    // Everybody gets the same list of the most popular items.
    let Dataset { items, split, sequences, .. } = Dataset::load(&place.path("data")).unwrap();
    let mut counts = vec![0.0; items.len()];
    for user in (0..split.len()).filter(|user| split[*user] == Split::Train) {
        sequences.get(user).iter().for_each(|id| counts[*id as usize - 1] += 1.0);
    }
    counts.sort_by(|a, b| f64::total_cmp(b, a));
    for at in [10, 50] {
        let expected =
            [at as f64 / items.len() as f64, counts[..at].iter().sum::<f64>() / at as f64];
        for (key, expected) in ["coverage", "popularity"].into_iter().zip(expected) {
            let own = rows[0]["lists"][at.to_string()][key].as_f64().unwrap();
            assert!((own - expected).abs() < 1e-9, "{key}@{at}: {own}, {expected}");
        }
    }
    // The same users and targets as a model's, which is shown beside them.
    let trained = place.ok(&["train", "c.toml", "--out", "run"]);
    let percent = |share: &Value| format!("{:.2}", 100.0 * share.as_f64().unwrap());
    let ease = percent(&rows[3]["metrics"]["recall@10"]);
    let coverage = percent(&rows[3]["lists"]["10"]["coverage"]);
    let shown = |text: &str, name: &str, cell: &str| {
        text.lines().any(|line| line.starts_with(name) && line.contains(cell))
    };
    assert!(shown(&trained, "ease (test)", &ease), "{trained}");
    let evaluated = place.ok(&["evaluate", "run"]);
    assert!(shown(&evaluated, "ease (test)", &ease), "{evaluated}");
    let (_, lists) = evaluated.split_once("\ncoverage").unwrap();
    assert!(shown(lists, "ease (test)", &coverage), "{evaluated}");
    assert!(shown(&place.ok(&["compare", "run"]), "ease", &ease));
    let all = place.ok(&["baseline", "data", "--at", "10,50"]);
    let (metrics, lists) = all.split_once("\ncoverage").unwrap();
    assert!(shown(lists, "ease", &coverage) && !metrics.contains("recall by"), "{all}");
    let other = place.ok(&["evaluate", "run", "--split", "validation"]);
    assert!(other.contains("croloss baseline data --split validation --at 10,50"), "{other}");
    assert_eq!(rows[0]["users"], json(&place.path("run/result.json"))["test_users"]);

    let again = parsed(&place.ok(&["baseline", "data", "--at", "50,10", "--json"]));
    for (first, again) in rows.iter().zip(&again) {
        assert_eq!(again["kept"], true);
        assert_eq!((&first["metrics"], &first["users"]), (&again["metrics"], &again["users"]));
    }
    // What stands in the file is what is shown, and other data are not believed.
    let path = place.path("data/baselines.json");
    let mut kept = json(&path);
    kept["results"][0]["metrics"]["recall@10"] = 0.4321.into();
    fs::write(&path, kept.to_string()).unwrap();
    let only = ["baseline", "data", "--only", "popularity", "--at", "10"];
    let table = place.ok(&only);
    assert!(table.contains("43.21") && table.contains("kept"), "{table}");
    assert!(table.contains("recall by the history's length, %"), "{table}");
    kept["checksum"] = "another".into();
    fs::write(&path, kept.to_string()).unwrap();
    let table = place.ok(&only);
    assert!(!table.contains("43.21") && !table.contains("kept"), "{table}");
    let expected = 100.0 * rows[0]["metrics"]["recall@10"].as_f64().unwrap();
    assert!(table.contains(&format!("{expected:.2}")), "{table}");
}

#[test]
fn sessions_seen_items_and_hyperparameters_are_told_apart() {
    let place = Place::new();
    let of = |more: &[&str]| {
        let mut arguments = vec!["baseline", "data", "--only", "item-knn", "--at", "20", "--json"];
        arguments.extend(more);
        parsed(&place.ok(&arguments)).remove(0)
    };
    let all = [
        of(&[]),
        of(&["--seen", "exclude"]),
        of(&["--split", "validation"]),
        of(&["--with", "item-knn.neighbours=3"]),
        of(&["--protocol", "positions"]),
        of(&["--protocol", "positions", "--history", "2"]),
    ];
    for (at, row) in all.iter().enumerate() {
        assert_eq!(row["kept"], false);
        assert!(all[..at].iter().all(|other| other["metrics"] != row["metrics"]), "{row}");
    }
    assert!(all[4]["metrics"]["last-mrr@20"].as_f64().unwrap() > 0.0);
    assert!(all[5]["targets"].as_u64() < all[4]["targets"].as_u64());
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new();
    place.refused(&["baseline", "nowhere"], 1, &["nowhere", "croloss prepare"]);
    place.refused(&["baseline", "data", "--at", "0"], 2, &["evaluation.at"]);
    place.refused(&["baseline", "data", "--history", "5"], 2, &["--history", "positions"]);
    let with = |value| ["baseline", "data", "--only", "ease", "--with", value];
    place.refused(&with("ease.lambda=-1"), 2, &["ease.lambda = -1"]);
    place.refused(&with("als.alpha=2"), 2, &["als", "not among"]);
}

/// The configurations for logs of one's own, from the log to recommendations.
#[test]
fn the_shipped_configurations_train_on_a_log_and_note_what_does_not_fit_it() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = |path: &Path| fs::read_to_string(path).unwrap().parse::<Table>().unwrap();
    let counts = &table(&place.path("data/dataset.toml"))["counts"];
    let [users, interactions] = ["users", "interactions"].map(|key| counts[key].as_integer());
    // Twice the mean sequence, in tens from 20 to 200.
    let history = (2 * interactions.unwrap() / users.unwrap()).clamp(20, 200) + 9;
    let history = history / 10 * 10;
    for (name, monitor) in [("default", "recall@100"), ("session", "recall@20")] {
        let file = root.join(format!("configs/{name}.toml"));
        let run = format!("runs/{name}");
        let mut command = vec!["train", file.to_str().unwrap(), "--out", &run];
        for set in ["data.path=data", "tower.dim=8", "train.epochs=2", "train.log_every=5"] {
            command.extend(["--set", set]);
        }
        let output = place.command(&command).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        // 2,048 candidates of 300 items.
        assert!(said.contains("note: sampling.negatives draws 2048 candidates"), "{said}");
        let saved = table(&place.path(&run).join("config.toml"));
        assert_eq!(saved["tower"]["history"].as_integer(), Some(history));
        let result = json(&place.path(&run).join("result.json"));
        assert!(result["test"][monitor].as_f64().unwrap() > 0.0);
        let answers = place.ok(&["recommend", &run, "--all-users", "--top", "3"]);
        assert!(answers.lines().count() >= 400, "{answers}");
    }
}
