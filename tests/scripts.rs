//! What a script relies on: `--json`, `-q`, `-v` and exit statuses.

mod common;

use std::fs;
use std::process::Command;

use common::{Place, json};
use croloss::data::{Dataset, Item, Split};
use serde_json::{Value, json};

const SWEEP: &str =
    "base = \"c.toml\"\n[[grid]]\nname = \"g\"\n[grid.axes]\n\"loss.alpha\" = [0.5, 1.0]\n";

fn said(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&place.ok(arguments))
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

#[test]
fn commands_print_json_that_says_what_their_files_say() {
    let place = Place::new();
    let csv = fs::read_to_string(place.path("log.csv")).unwrap();
    let generated = said(
        &place,
        &[
            "generate",
            "--preset",
            "demo",
            "--users",
            "400",
            "--items",
            "300",
            "--out",
            "again.csv",
            "--json",
        ],
    );
    assert_eq!(generated["users"], 400);
    assert_eq!(generated["events"], csv.lines().count() - 1);
    assert_eq!(generated["files"], json!(["again.csv"]));

    let prepared = said(
        &place,
        &[
            "prepare", "--input", "log.csv", "--user", "user", "--item", "item", "--time", "time",
            "--out", "again", "--json",
        ],
    );
    let dataset = Dataset::load(&place.path("again")).unwrap();
    assert_eq!(prepared["dataset"]["checksum"], dataset.manifest.checksum);
    assert_eq!(prepared["dataset"]["counts"]["items"], dataset.items.len());
    let users = dataset.users_of(Split::Test);
    let items = users.iter().map(|user| dataset.sequences.get(*user).len());
    assert_eq!(prepared["test"]["users"], users.len());
    assert_eq!(prepared["test"]["interactions"], items.sum::<usize>());
    let longest = (0..dataset.users.len()).map(|user| dataset.sequences.get(user).len()).max();
    assert_eq!(prepared["sequence_length"]["most"], longest.unwrap());
    assert_eq!(prepared["written_to"], "again");
    assert_eq!([&prepared["item_fields"], &prepared["user_fields"]], [&json!([]), &json!([])]);
    assert_eq!(prepared["cold"], Value::Null);

    let trained = said(&place, &["train", "c.toml", "--out", "run", "--json"]);
    let result = json(&place.path("run/result.json"));
    assert_eq!(trained, result);
    let compared = said(&place, &["compare", "run", "--json"]);
    assert_eq!(compared[0], json!({ "name": "run", "metrics": result["test"] }));

    let paused = ["train", "c.toml", "--out", "part", "--until", "0.3", "--json"];
    assert_eq!(said(&place, &paused), json!({ "paused": { "step": 20, "steps": 60 } }));

    place.ok(&["export", "run", "--out", "towers"]);
    let indexed = said(&place, &["index", "towers", "--json"]);
    let settings = indexed["settings"].as_array().unwrap();
    let chosen: Vec<&Value> = settings.iter().filter(|one| one["default"] == true).collect();
    let kept = json(&place.path("towers/index.json"));
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0]["candidates"], kept["expansion_search"]);
    assert_eq!(chosen[0]["recall"], kept["recall_at_100"]);

    let [a, b] = [1, 2].map(|item| dataset.items[item].original.as_str());
    let asked = ["recommend", "towers", "--history", &format!("{a} {b}"), "--history", b];
    place.ok(&[&asked[..], &["--out", "top.jsonl"]].concat());
    let lines = place.ok(&[&asked[..], &["--json"]].concat());
    assert_eq!(lines, fs::read_to_string(place.path("top.jsonl")).unwrap());
    assert_eq!(lines.lines().count(), 2);

    fs::write(place.path("s.toml"), SWEEP).unwrap();
    let swept = said(&place, &["sweep", "s.toml", "--json"]);
    let expected = json!({
        "points": 2, "had_a_result": 0, "ran": 2, "failed": 0, "results": "runs/s/results.csv",
    });
    assert_eq!(swept, expected);
    assert!(place.path("runs/s/results.csv").is_file());
}

#[test]
fn prepare_s_json_tells_of_fields_and_cold_items() {
    let place = Place::new();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let lines = |records: Vec<Value>| -> String {
        records.iter().map(|record| format!("{record}\n")).collect()
    };
    let item = |(at, item): (usize, &Item)| {
        let id = item.original.as_str();
        json!({"item": id, "tags": [at % 3, "all"], "price": at})
    };
    let mut items: Vec<Value> = dataset.items.iter().enumerate().map(item).collect();
    items.insert(2, json!({"item": "stranger"}));
    fs::write(place.path("items.jsonl"), lines(items)).unwrap();
    let user = |(at, user): (usize, &String)| json!({"user": user, "country": at % 7});
    let users = dataset.users.iter().enumerate().map(user).collect();
    fs::write(place.path("users.jsonl"), lines(users)).unwrap();
    let prepare = "prepare --input log.csv --user user --item item --time time --out known --json \
                   --items items.jsonl --item-field tags=categories --item-field price=number:4 \
                   --users users.jsonl --user-field country=category \
                   --split leave-one-out --cold-one-in 20";
    let told = said(&place, &prepare.split_whitespace().collect::<Vec<_>>());
    let expected = json!([
        {"name": "price", "kind": "number", "buckets": 4},
        {"name": "tags", "kind": "categories", "values": 4},
    ]);
    assert_eq!(told["item_fields"], expected);
    let expected = json!([{"name": "country", "kind": "category", "values": 7}]);
    assert_eq!(told["user_fields"], expected);
    let left_out = &told["dataset"]["items"]["first_left_out"];
    assert_eq!(*left_out, json!({"id": "stranger", "place": "items.jsonl:3"}));
    assert_eq!(told["dataset"]["users"].get("first_left_out"), None);
    let cold = Dataset::load(&place.path("known")).unwrap().cold.unwrap();
    let [items, asked] = [cold.items.len(), cold.targets.len()];
    assert!(items > 0 && asked > 0, "{items} {asked}");
    assert_eq!(told["cold"], json!({"items": items, "users_asked": asked}));
}

#[test]
fn as_much_is_told_on_standard_error_as_is_asked_for() {
    let place = Place::new();
    let told = |arguments: &[&str]| {
        let output = place.command(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let usual = told(&["train", "c.toml", "--out", "a"]);
    assert!(usual.contains("step 20: recall % @10 "), "{usual}");
    assert!(!usual.contains("ndcg@50") && !usual.contains("MiB at most"), "{usual}");
    assert_eq!(told(&["train", "c.toml", "--out", "b", "--quiet"]), "");
    let item = Dataset::load(&place.path("data")).unwrap().items[7].original.clone();
    assert_eq!(told(&["-q", "recommend", "a", "--history", &item]), "");
    // What must not be missed is told all the same.
    let warned = told(&["-q", "recommend", "a", "--history", &format!("{item} nobody")]);
    assert_eq!(warned, "warning: 1 items of histories are not known\n");
    let much = told(&["-v", "train", "c.toml", "--out", "c"]);
    for word in ["steps = 60", "ndcg@50 0.", "MiB at most"] {
        assert!(much.contains(word), "`{word}` is missing in: {much}");
    }
    place.refused(&["-q", "train", "c.toml", "--out", "a"], 2, &["croloss: a exists already"]);
    place.refused(&["-q", "-v", "compare", "a"], 2, &["--help"]);
}

#[test]
fn the_exit_status_says_whether_it_was_begun() {
    let place = Place::new();
    place.refused(&["train", "none.toml", "--out", "run"], 1, &["none.toml"]);
    place.refused(&["train", "c.toml", "--out", "run", "--set", "loss.kin=bpr"], 2, &["kin"]);
    place.refused(&["compare", "run"], 1, &["not a run folder"]);
    place.refused(&["compere", "run"], 2, &["--help"]);
    let status = |arguments: &[&str]| place.command(arguments).output().unwrap().status;
    assert_eq!(status(&["--help"]).code(), Some(0));
    let mut long =
        place.command(&["train", "c.toml", "--out", "run", "--set", "train.steps=10000000"]);
    let mut running = long.stderr(std::process::Stdio::null()).spawn().unwrap();
    while !place.path("run/metrics.jsonl").is_file() {
        assert!(running.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(143));
}
