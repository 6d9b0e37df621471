//! `sweep` from outside.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Place, json};
use serde_json::Value;

/// Four points: two losses, two seeds.
const SWEEP: &str = r#"
base = "c.toml"
seeds = [1, 2]

[[grid]]
name = "losses"
cases = [
    { name = "bpr", set = { "loss.kind" = "bpr" } },
    { name = "cro", set = { "loss.kind" = "cro" } },
]
"#;

/// What each point of a sweep came to, by the name of its folder; times left out.
fn results(runs: &Path) -> BTreeMap<String, (Value, Value)> {
    let entries = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.join("result.json").exists())
        .map(|path| {
            let result = json(&path.join("result.json"));
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, (result["test"].clone(), result["best_step"].clone()))
        })
        .collect()
}

/// When each result was written.
fn times(runs: &Path) -> Vec<std::time::SystemTime> {
    let path = |name: &String| runs.join(name).join("result.json");
    results(runs).keys().map(|name| path(name).metadata().unwrap().modified().unwrap()).collect()
}

#[test]
fn a_second_call_runs_nothing_and_a_changed_one_only_what_changed() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    let plan = place.ok(&["sweep", "s.toml", "--dry-run"]);
    assert!(plan.contains("4 points, 4 to run"), "{plan}");
    assert!(!place.path("runs").exists(), "a dry run writes nothing");
    let said = place.ok(&["sweep", "s.toml", "--jobs", "2"]);
    assert!(said.contains("4 points: 0 had a result, 4 ran, 0 of them failed"), "{said}");
    let runs = place.path("runs/s");
    let before = times(&runs);
    assert_eq!(before.len(), 4);

    let said = place.ok(&["sweep", "s.toml"]);
    assert!(said.contains("4 had a result, 0 ran"), "{said}");
    assert_eq!(times(&runs), before);

    // A result that is broken is said to be that.
    let result = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path().join("result.json");
    let broken = fs::read_dir(&runs).unwrap().map(result).find(|path| path.exists()).unwrap();
    let whole = fs::read(&broken).unwrap();
    fs::write(&broken, "{").unwrap();
    let output = place.command(&["sweep", "s.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("failed: ")).unwrap();
    assert!(line.contains("result.json") && !line.contains("--force"), "{said}");
    fs::write(&broken, whole).unwrap();

    fs::write(place.path("s.toml"), SWEEP.replace("[1, 2]", "[1, 2, 3]")).unwrap();
    let said = place.ok(&["sweep", "s.toml"]);
    assert!(said.contains("4 had a result, 2 ran"), "{said}");
}

#[test]
fn two_shards_put_together_are_the_whole_sweep() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    place.ok(&["sweep", "s.toml", "--runs", "whole"]);
    place.ok(&["sweep", "s.toml", "--shard", "1/2", "--runs", "a"]);
    place.ok(&["sweep", "s.toml", "--shard", "2/2", "--runs", "b"]);
    assert_eq!((results(&place.path("a")).len(), results(&place.path("b")).len()), (2, 2));
    for name in results(&place.path("b")).keys() {
        fs::rename(place.path("b").join(name), place.path("a").join(name)).unwrap();
    }
    assert_eq!(results(&place.path("a")), results(&place.path("whole")));
    let said = place.ok(&["sweep", "s.toml", "--runs", "a"]);
    assert!(said.contains("4 had a result, 0 ran"), "{said}");
}

#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    place.ok(&["sweep", "s.toml", "--runs", "unbroken"]);
    let sweep = ["sweep", "s.toml", "--runs", "broken"];
    let mut child = place.command(&sweep).stderr(Stdio::null()).spawn().unwrap();
    let broken = place.path("broken");
    let patience = Instant::now();
    while !broken.exists() || results(&broken).is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(120), "no point ended");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = results(&broken).len();
    assert!((1..4).contains(&done), "{done} points were done when the sweep was killed");
    place.ok(&sweep);
    assert_eq!(results(&broken), results(&place.path("unbroken")));
}

/// The steps that points of a sweep are gone on with from, by what it would do.
fn to_go_on(plan: &str) -> Vec<u64> {
    let of = |line: &str| line.split_once("to go on from step ")?.1.trim().parse().ok();
    plan.lines().filter_map(of).collect()
}

/// Points that have a checkpoint.
fn with_checkpoints(runs: &Path) -> usize {
    let points = fs::read_dir(runs).into_iter().flatten().map(|point| point.unwrap().path());
    let there = |point: &std::path::PathBuf| {
        let mut all = fs::read_dir(point.join("checkpoints")).into_iter().flatten();
        all.any(|own| own.is_ok_and(|own| own.file_name().to_string_lossy().starts_with("step-")))
    };
    points.filter(there).count()
}

#[test]
fn points_that_were_cut_off_are_gone_on_with() {
    let place = Place::new();
    let set = "set = { \"train.steps\" = 12000, \"train.validate_every\" = 2000, \"train.checkpoint_steps\" = 50 }";
    fs::write(
        place.path("s.toml"),
        SWEEP.replace("seeds = [1, 2]", &format!("seeds = [1]\n{set}")),
    )
    .unwrap();
    place.ok(&["sweep", "s.toml", "--runs", "unbroken"]);
    for (signal, status) in [(libc::SIGKILL, None), (libc::SIGINT, Some(130))] {
        let runs = format!("broken{signal}");
        let sweep = ["sweep", "s.toml", "--runs", &runs, "--jobs", "2"];
        let plan = || place.ok(&[&sweep[..], &["--dry-run"]].concat());
        let mut command = place.command(&sweep);
        let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let patience = Instant::now();
        while with_checkpoints(&place.path(&runs)) < 2 {
            assert!(patience.elapsed() < Duration::from_secs(120), "no checkpoints came");
            sleep(Duration::from_millis(5));
        }
        // SAFETY: a child that nobody has waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), status, "{said}");
        if status.is_some() {
            let last = said.lines().last().unwrap();
            assert_eq!(last, "croloss: stopped by SIGINT: the same command goes on with it");
            assert!(!said.contains("failed"), "{said}");
        }
        let steps = to_go_on(&plan());
        assert_eq!(steps.len(), 2, "{}", plan());
        let said = place.ok(&sweep);
        assert!(said.contains("0 had a result, 2 ran, 0 of them failed"), "{said}");
        let logs = fs::read_dir(place.path(&runs).join("logs")).unwrap();
        let logs = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap());
        let logs = logs.collect::<String>();
        for step in steps {
            assert!(logs.contains(&format!("resumed at step {step} of 12000")), "{step}: {logs}");
        }
        assert_eq!(results(&place.path(&runs)), results(&place.path("unbroken")));
    }
}

#[test]
fn a_point_that_fails_is_recorded_and_the_others_go_on() {
    let place = Place::new();
    let case = "    { name = \"wild\", set = { \"optimizer.learning_rate\" = 1e38 } },\n";
    let text = SWEEP.replace("cases = [\n", &format!("cases = [\n{case}"));
    fs::write(place.path("s.toml"), text.replace("seeds = [1, 2]", "seeds = [1]")).unwrap();
    let output = place.command(&["sweep", "s.toml"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("diverged"), "{errors}");
    let runs = place.path("runs/s");
    assert_eq!(results(&runs).len(), 2, "{errors}");
    // What is done says what chose its weights, as its own result has it.
    for name in results(&runs).keys() {
        let best = &json(&runs.join(name).join("result.json"))["validation"]["recall@10"];
        let best = 100.0 * best.as_f64().unwrap();
        let point = name.rsplit_once('-').unwrap().0;
        let line = format!("{point}: done, recall@10 {best:.2} % in validation");
        assert!(errors.contains(&line), "{line}: {errors}");
    }
    let failed = fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().path());
    let failed: Vec<_> = failed.filter(|path| path.join("failed.json").exists()).collect();
    assert_eq!(failed.len(), 1);
    let reason = json(&failed[0].join("failed.json"))["reason"].to_string();
    assert!(reason.contains("diverged"), "{reason}");
    let plan = place.ok(&["sweep", "s.toml", "--dry-run"]);
    assert!(plan.contains("to run again") && plan.contains("3 points, 1 to run"), "{plan}");
}

/// The folder of each finished point of a case, and its metric in the part.
fn figures(runs: &Path, case: &str, part: &str, metric: &str) -> Vec<(String, f64)> {
    let start = format!("losses_{case}_seed=");
    let folders = results(runs).into_keys().filter(|name| name.starts_with(&start));
    let value = |name: String| {
        let value = json(&runs.join(&name).join("result.json"))[part][metric].as_f64().unwrap();
        (name, value)
    };
    folders.map(value).collect()
}

fn mean(figures: &[(String, f64)]) -> f64 {
    figures.iter().map(|(_, value)| value).sum::<f64>() / figures.len() as f64
}

#[test]
fn the_best_case_is_that_of_the_best_mean_in_validation() {
    let place = Place::new();
    let case =
        "    { name = \"cro a1.2\", set = { \"loss.kind\" = \"cro\", \"loss.alpha\" = 1.2 } },\n";
    let tiny = "    { name = \"tiny\", set = { \"tower.dim\" = 1 } },\n";
    fs::write(
        place.path("s.toml"),
        SWEEP.replace("cases = [\n", &format!("cases = [\n{case}{tiny}")),
    )
    .unwrap();
    place.refused(&["best", "s.toml"], 2, &["s.toml", "run croloss sweep first"]);
    place.ok(&["sweep", "s.toml", "--jobs", "2"]);
    let runs = place.path("runs/s");
    for metric in ["recall@10", "mrr@50"] {
        // As points are called in files.
        let of = |case: &str, part| figures(&runs, &case.replace(' ', "-"), part, metric);
        let mut cases = ["bpr", "cro", "cro a1.2", "tiny"];
        cases.sort_by(|a, b| mean(&of(b, "validation")).total_cmp(&mean(&of(a, "validation"))));
        let text = place.ok(&["best", "s.toml", "--by", metric, "--json"]);
        let said: Value = serde_json::from_str(&text).unwrap();
        for (case, said) in cases.iter().zip(said["cases"].as_array().unwrap()) {
            assert_eq!(said["name"], *case);
            for part in ["validation", "test"] {
                let expected = mean(&of(case, part));
                assert!((said[part]["mean"].as_f64().unwrap() - expected).abs() < 1e-12, "{said}");
            }
        }
        let mut own = of(cases[0], "validation");
        own.sort_by(|a, b| b.1.total_cmp(&a.1));
        let folders: Vec<String> = own.iter().map(|(name, _)| format!("runs/s/{name}")).collect();
        assert_eq!(said["cases"][0]["runs"], serde_json::json!(folders));
        let text = place.ok(&["best", "s.toml", "--by", metric]);
        let first = format!("Best of 4 cases by {metric} in validation: {}", cases[0]);
        assert!(text.starts_with(&first), "{text}");
        assert_eq!(text.contains("its train.monitor"), metric != "recall@10", "{text}");
        let stands = |standing: &str| {
            let cases = said["cases"].as_array().unwrap().iter();
            cases.filter(|case| case["standing"] == standing).count()
        };
        let more = format!("{} more: behind it on test", stands("behind"));
        assert_eq!(text.contains(&more), stands("behind") > 0, "{text}");
        assert_eq!(text.matches("within noise").count(), stands("within noise"), "{text}");
    }
    // What it says can be done.
    let text = place.ok(&["best", "s.toml"]);
    for start in ["To use it:", "To train it again:"] {
        let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        place.ok(&words);
    }
    let only = place.ok(&["best", "s.toml", "--only", "loss.alpha=1.2"]);
    assert!(only.starts_with("Best of 1 case by recall@10 in validation: cro a1.2"), "{only}");
    let wrong = ["best", "s.toml", "--by", "ndcg@11"];
    place.refused(
        &wrong,
        2,
        &["s.toml", "ndcg@11 was not measured", "recall@10, recall@50, hitrate@10"],
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_runs() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    fs::write(place.path("typo.toml"), SWEEP.replace("loss.kind\" = \"bpr", "loss.kidn\" = \"bpr"))
        .unwrap();
    fs::write(place.path("seed.toml"), SWEEP.replace("[1, 2]", "[1, 1]")).unwrap();
    fs::write(place.path("data.toml"), format!("dataset = \"nowhere\"\n{SWEEP}")).unwrap();
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["sweep", "none.toml"], 1, &["none.toml"]),
        (&["sweep", "typo.toml"], 2, &["typo.toml", "losses", "kidn", "`kind`"]),
        (&["sweep", "seed.toml"], 2, &["seed.toml", "seed 1", "twice"]),
        (&["sweep", "data.toml"], 1, &["data.toml", "nowhere", "croloss prepare"]),
        (&["sweep", "s.toml", "--only", "loss.kind=triplet"], 2, &["--only", "no point"]),
        (&["sweep", "s.toml", "--set", "loss.kind=bpr"], 2, &["--set loss.kind"]),
        (&["sweep", "s.toml", "--shard", "3/2"], 2, &[]),
        (&["sweep", "s.toml", "--jobs", "0"], 2, &[]),
    ];
    for (call, status, words) in cases {
        place.refused(call, status, words);
        assert!(!place.path("runs").exists(), "{call:?}");
    }
}
