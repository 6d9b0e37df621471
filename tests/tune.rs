//! `tune` from outside.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Place, json};
use serde_json::Value;

/// 27 validations: rungs at 4, 12, 36 and 108 steps.
const STEPS: [&str; 8] = [
    "--set",
    "train.steps=108",
    "--set",
    "train.validate_every=4",
    "--set",
    "train.patience=100",
    "--set",
    "train.log_every=4",
];

const SPACE: &str = r#"
seeds = [1, 2]

[[grid]]
name = "cro"
set = { "loss.kind" = "cro" }
[grid.axes]
"loss.alpha" = { from = 0.0, to = 2.0 }
"optimizer.learning_rate" = { from = 0.0001, to = 0.1, log = true }

[[grid]]
name = "bpr"
set = { "loss.kind" = "bpr" }
[grid.axes]
"optimizer.learning_rate" = { from = 0.0001, to = 0.1, log = true }
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("space.toml"), SPACE).unwrap();
    place
}

fn tune<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let plain = ["tune", "c.toml", "--space", "space.toml", "--for", "recall@10", "--out", out];
    [&plain, &STEPS[..], more].concat()
}

/// The runs in a folder, by the name of theirs.
fn runs(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), path);
    entries.filter(|path| path.join("config.toml").exists()).map(named).collect()
}

/// The recall@10 of each validation of a run, in order.
fn recalls(run: &Path) -> Vec<f64> {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let validations = lines.filter(|line| line["part"] == "validation");
    validations.map(|line| line["recall@10"].as_f64().unwrap()).collect()
}

#[test]
fn of_each_rung_the_best_third_goes_on_as_soon_as_it_is_known() {
    let place = place();
    let out = place.path("found");
    let output = place.command(&tune("found", &["--points", "9"])).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let runs = runs(&out);
    let of = |name: &str| {
        runs.iter().find(|(folder, _)| folder.starts_with(&format!("{name}-"))).unwrap().1
    };
    // Its best validation up to a rung: of the first 1, 3, 9 and 27 of them.
    let value = |name: &str, rung: usize| {
        let counted = recalls(of(name));
        counted[..3_usize.pow(rung as u32)].iter().copied().fold(0.0, f64::max)
    };
    let mut on: Vec<Vec<String>> = vec![vec![]; 4];
    // The values on a rung, the best first, and how many of them go on.
    let best = |on: &[Vec<String>], rung: usize| {
        let mut values: Vec<f64> = on[rung].iter().map(|name| value(name, rung)).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        let go_on = values.len() / 3;
        (values, go_on)
    };
    // Those that are among the best third whatever becomes of equal ones, and have not gone on.
    let waiting = |on: &[Vec<String>], rung: usize| -> Vec<String> {
        let (values, go_on) = best(on, rung);
        let waits = |name: &&String| {
            values.get(go_on).is_some_and(|next| value(name, rung) > *next)
                && !on[rung + 1].contains(name)
        };
        on[rung].iter().filter(waits).cloned().collect()
    };
    let ended = errors.lines().filter_map(|line| {
        let (name, what) = line.strip_prefix('[')?.split_once("] ")?.1.split_once(": ")?;
        Some((name.to_owned(), what.to_owned()))
    });
    let mut parts = 0;
    for (name, what) in ended.filter(|(name, _)| !name.contains("recall@10")) {
        let shares = ["3.7 % of", "11.1 % of", "33.3 % of", "done"];
        let rung = shares.iter().position(|share| what.starts_with(share)).expect(&what);
        match rung {
            0 => {
                let waiting: Vec<String> = (0..3).flat_map(|rung| waiting(&on, rung)).collect();
                assert!(waiting.is_empty(), "{name} is begun before {waiting:?} went on");
            }
            _ => {
                let (values, go_on) = best(&on, rung - 1);
                let among = go_on > 0 && value(&name, rung - 1) >= values[go_on - 1];
                assert!(among && !on[rung].contains(&name), "{name} goes on to {rung}: {values:?}");
            }
        }
        on[rung].push(name);
        parts += 1;
    }
    assert_eq!(on[0].len(), 9);
    assert!((0..3).all(|rung| waiting(&on, rung).is_empty()), "somebody was left behind");
    assert!(parts > 9 + 3, "{parts}");
    // None is trained further than it went.
    for name in &on[0] {
        let rungs = on.iter().filter(|on| on.contains(name)).count();
        assert_eq!(recalls(of(name)).len(), 3_usize.pow(rungs as u32 - 1), "{name}");
    }

    // The configuration itself is the first point, cross-entropy what the best is compared with.
    assert_eq!(on[0][0], "base_seed=1");
    let finals = json(&out.join("tune.json"))["finals"][0].as_array().unwrap().clone();
    assert_eq!(finals.len(), 4, "two seeds of two");
    for entry in finals {
        let [name, id] = ["name", "id"].map(|key| entry[key].as_str().unwrap().to_owned());
        assert!(out.join(format!("{name}-{id}")).join("result.json").exists(), "{name}");
    }
    let said = String::from_utf8(output.stdout).unwrap();
    for word in ["For recall@10", "cross-entropy", "means over 2 seeds", "95 % interval"] {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
    let page = fs::read_to_string(out.join("tune.md")).unwrap();
    assert!(page.contains("9 points: 9 at 1/27") && page.contains("For recall@10"), "{page}");
    let points = fs::read_to_string(out.join("points.csv")).unwrap();
    assert_eq!(points.lines().count(), 1 + 9);
    assert!(fs::read_to_string(out.join("tune.svg")).unwrap().contains("recall@10"));
    is_told_to_programs(&out, &said, &on);
    place.ok(&["train", "found/best-recall@10.toml", "--out", "again"]);
    fs::remove_file(out.join("tune.md")).unwrap();
    place.ok(&["report", "found"]);
    assert_eq!(fs::read_to_string(out.join("tune.md")).unwrap(), page);
    let printed = place.ok(&tune("found", &["--points", "9", "--json"]));
    assert_eq!(printed, fs::read_to_string(out.join("found.json")).unwrap());
}

/// `found.json` says what was `said`, and has the points that came to each rung, by what their logs say.
fn is_told_to_programs(out: &Path, said: &str, on: &[Vec<String>]) {
    let found = json(&out.join("found.json"));
    let best = &found["best"][0];
    assert_eq!(best["metric"], "recall@10");
    assert!(said.contains(best["words"].as_str().unwrap()) && said.contains("best-recall@10.toml"));
    let cases = best["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    let of = |case: &Value, part: &str| -> Vec<f64> {
        let runs = case["runs"].as_array().unwrap().iter();
        let results = runs.map(|run| json(&out.join(run.as_str().unwrap()).join("result.json")));
        results.map(|result| result[part]["recall@10"].as_f64().unwrap()).collect()
    };
    for case in cases {
        for part in ["validation", "test"] {
            let [a, b]: [f64; 2] = of(case, part).try_into().unwrap();
            let sd = (a - b).abs() / 2.0_f64.sqrt();
            assert!((case[part].as_f64().unwrap() - (a + b) / 2.0).abs() < 1e-12, "{case}");
            let told = case[format!("{part}_sd")].as_f64().unwrap();
            assert!((told - sd).abs() < 1e-12, "{case}");
        }
    }
    let test = |case: usize| cases[case]["test"].as_f64().unwrap();
    let gain = |key: &str| best["gain"][key].as_f64().unwrap();
    assert!((gain("mean") - (test(0) - test(1))).abs() < 1e-9, "{best}");
    assert!(gain("low") < gain("mean") && gain("mean") < gain("high"));
    assert_eq!(best["gain"]["of_seeds"], true);

    let ranking = best["ranking"].as_array().unwrap();
    assert_eq!(ranking.len(), on[0].len());
    let key = |row: &Value| {
        let [share, value] = ["share", "validation"].map(|key| row[key].as_f64().unwrap());
        (share, value)
    };
    for row in ranking {
        let run = row["run"].as_str().unwrap();
        let rungs =
            on.iter().filter(|on| on.iter().any(|name| run.starts_with(&format!("{name}-"))));
        let share = 3.0_f64.powi(rungs.count() as i32 - 4);
        let most = recalls(&out.join(run)).into_iter().fold(0.0, f64::max);
        assert_eq!(key(row).1, most, "{row}");
        assert!((key(row).0 - share).abs() < 1e-12, "{row}");
    }
    assert!(ranking.is_sorted_by(|a, b| key(a) >= key(b)), "{ranking:?}");
}

#[test]
fn one_that_was_killed_goes_on_and_finds_the_same() {
    let place = place();
    let points = ["--points", "5"];
    place.ok(&tune("unbroken", &points));
    let broken = tune("broken", &points);
    let out = place.path("broken");
    for most in [1, 3] {
        let mut child = place.command(&broken).stderr(Stdio::null()).spawn().unwrap();
        let patience = Instant::now();
        while !out.exists() || runs(&out).len() <= most {
            assert!(patience.elapsed() < Duration::from_secs(120), "nothing was begun");
            sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.ok(&broken);
    for file in ["points.csv", "tune.svg"] {
        let read = |folder: &str| fs::read_to_string(place.path(folder).join(file)).unwrap();
        assert_eq!(read("broken"), read("unbroken"), "{file}");
    }
    for (name, run) in runs(&place.path("unbroken")) {
        let same = recalls(&out.join(&name));
        assert_eq!(recalls(&run), same, "{name}");
    }
}

#[test]
fn two_share_a_folder_and_run_nothing_twice() {
    let place = place();
    let both = tune("shared", &["--points", "6", "--for", "recall@50"]);
    let start = || {
        let command = &mut place.command(&both);
        command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    };
    let children = [start(), start()];
    let mut ended: Vec<String> = vec![];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        let parts = errors.lines().filter_map(|line| Some(line.split_once("] ")?.1.to_owned()));
        ended.extend(parts.map(|part| part.split(", ").next().unwrap_or_default().to_owned()));
    }
    let all = ended.len();
    ended.sort();
    ended.dedup();
    assert_eq!(ended.len(), all, "a part was run twice");
    let out = place.path("shared");
    for metric in ["recall@10", "recall@50"] {
        assert!(out.join(format!("best-{metric}.toml")).exists());
    }
    let page = fs::read_to_string(out.join("tune.md")).unwrap();
    assert!(page.contains("For recall@10") && page.contains("For recall@50"), "{page}");
    // Each metric's runs keep the weights that are best by it.
    for (name, run) in runs(&out) {
        let config: toml::Table =
            fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
        let own = if name.starts_with("best-recall@10") { "recall@10" } else { "recall@50" };
        if name.starts_with("best-") || name.starts_with("cro_") {
            assert_eq!(config["train"]["monitor"].as_str(), Some(own), "{name}");
        }
    }
    assert!(json(&out.join("tune.json"))["finals"].as_array().unwrap().len() == 2);
}

#[test]
fn what_cannot_work_is_refused_before_anything_runs() {
    let place = place();
    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&tune("none", more), 2, words);
        assert!(!place.path("none").exists(), "{more:?}");
    };
    refused(&["--for", "last-mrr@5"], &["last-mrr@5", "holdout"]);
    refused(&["--set", "train.monitor=recall@50"], &["train.monitor", "--for"]);
    refused(&["--set", "loss.alpha=1.0"], &["loss.alpha"]);
    fs::write(place.path("s.toml"), format!("base = \"c.toml\"\n{SPACE}")).unwrap();
    place.refused(&["sweep", "s.toml"], 2, &["loss.alpha", "range", "croloss tune"]);
    place.refused(&["sweep", "space.toml"], 2, &["space.toml", "base", "croloss tune"]);
    let twice = ["tune", "s.toml", "--space", "space.toml", "--for", "recall@10"];
    place.refused(&twice, 2, &["s.toml", "--space"]);
    // A sweep file with ranges is a space and its base in one.
    let short = ["--points", "1", "--set", "train.steps=20", "--budget", "0s", "--out", "one"];
    let alone = [&["tune", "s.toml", "--for", "recall@10"], &short[..]].concat();
    place.refused(&alone, 2, &["first validation"]);
    place.refused(&tune("one", &["--for", "recall@50"]), 2, &["one", "other metrics", "--out"]);
}
