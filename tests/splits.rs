//! Splits from outside that are not of users: everything trains, or time is cut.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use common::{CONFIG, Place, SESSIONS, json};
use croloss::data::{Dataset, Split};
use serde_json::Value;

const LOG: [&str; 9] =
    ["prepare", "--input", "log.csv", "--user", "user", "--item", "item", "--time", "time"];

/// Prepares the generated log anew.
fn prepare(place: &Place, options: &[&str]) -> String {
    place.ok(&[&LOG[..], &["--out", "data", "--force"], options].concat())
}

#[test]
fn without_a_split_all_trains_for_a_fixed_time_and_nothing_is_measured() {
    let place = Place::new();
    let said = prepare(&place, &["--split", "none"]);
    assert!(said.contains("users that test") && !said.contains("last fifths"), "{said}");
    let dataset = Dataset::load(&place.path("data")).unwrap();
    assert_eq!(dataset.users_of(Split::Train).len(), dataset.users.len());

    let said = place.ok(&["train", "c.toml", "--out", "run"]);
    assert!(said.contains("Nothing was measured") && !said.contains("Recall"), "{said}");
    let result = json(&place.path("run/result.json"));
    assert_eq!((result["steps"].as_u64(), result["best_step"].as_u64()), (Some(60), Some(60)));
    assert_eq!((&result["test"], &result["validation"]), (&serde_json::json!({}), &result["test"]));
    // The weights are those of the last step, whenever a validation would have been.
    let weights = |run: &str| fs::read(place.path(run).join("best.safetensors")).unwrap();
    let train = |out: &str, set: &str| place.ok(&["train", "c.toml", "--out", out, "--set", set]);
    train("often", "train.validate_every=1");
    train("short", "train.steps=59");
    assert!(weights("run") == weights("often") && weights("run") != weights("short"));
    train("epochs", "train.epochs=1");

    let all = "the dataset is all training (split.by = \"none\")";
    for (arguments, words) in [
        (&["evaluate", "run"][..], ["no test users (split.by = \"none\")", "another split"]),
        (&["evaluate", "run", "--split", "validation"], ["no validation users", "measured"]),
        (&["compare", "run", "run"], ["nothing was measured in run", "all training"]),
    ] {
        place.refused(arguments, 2, &words);
    }
    fs::write(place.path("c.toml"), CONFIG.replace("steps = 60", "")).unwrap();
    place.refused(&["train", "c.toml", "--out", "no"], 2, &[all, "set train.epochs, or"]);
    fs::write(place.path("s.toml"), "base = \"c.toml\"\n[[grid]]\nname = \"g\"\n").unwrap();
    place.refused(&["sweep", "s.toml"], 2, &["data is all training (split.by = \"none\")"]);

    place.ok(&["evaluate", "run", "--split", "train"]);
    place.ok(&["export", "run", "--out", "towers"]);
    for from in [&["run"][..], &["towers", "--data", "data"]] {
        let to = ["--all-users", "--out", "top.csv", "--force"];
        place.ok(&[&["recommend"], from, &to[..]].concat());
        assert!(fs::read_to_string(place.path("top.csv")).unwrap().lines().count() > 4_000);
    }
}

/// The generated log, of which the last fifth of all events tests and the one before validates.
fn cut() -> (Place, Dataset, [i64; 2]) {
    let place = Place::new();
    let mut times = Dataset::load_timed(&place.path("data")).unwrap().times.unwrap();
    times.sort_unstable();
    let moments = [times[times.len() * 3 / 5], times[times.len() * 4 / 5]];
    let [validation, test] = moments.map(|moment| moment.to_string());
    prepare(&place, &["--split", "cut", "--validation-from", &validation, "--test-from", &test]);
    let dataset = Dataset::load_timed(&place.path("data")).unwrap();
    (place, dataset, moments)
}

#[test]
fn what_follows_the_cut_is_nothing_to_training() {
    let (place, dataset, moments) = cut();
    let times = dataset.times.as_ref().unwrap();
    // The same dataset with other items wherever training may not look, and with one other item
    // where it may.
    let altered = |before: bool| {
        let mut other = dataset.clone();
        let all = dataset.item_count() as u32;
        let mut wanted = (0..times.len()).filter(|at| (times[*at] < moments[0]) == before);
        let wanted: Vec<usize> =
            if before { wanted.nth(500).into_iter().collect() } else { wanted.collect() };
        wanted.iter().for_each(|at| other.sequences.items[*at] = (*at as u32 * 7) % all + 1);
        assert_ne!(other.sequences, dataset.sequences);
        other
    };
    altered(false).save(&place.path("after"), false).unwrap();
    altered(true).save(&place.path("before"), false).unwrap();
    // Popularity, candidates of the batch, and log q: all that training counts.
    let sources = "negatives = [{ from = \"popularity\", count = 40, per = \"batch\" }, \
                   { from = \"in-batch\", count = 9, per = \"session\" }]";
    let config = CONFIG.replace("negatives_per_positive = 2", sources)
        + "[loss]\nkind = \"cross-entropy\"\nlog_q = \"corrected\"\n";
    fs::write(place.path("c.toml"), config).unwrap();
    for sets in [&[][..], &["--set", "sampling.samples=positions", "--set", "tower.encoder=gru"]] {
        let weights = |data: &str| {
            let path = format!("data.path={data}");
            let once = ["--set", "train.validate_every=60", "--set", &path, "--force"];
            place.ok(&[&["train", "c.toml", "--out", "run"][..], &once[..], sets].concat());
            fs::read(place.path("run/best.safetensors")).unwrap()
        };
        let known = weights("data");
        assert!(known == weights("after"), "{sets:?}");
        assert!(known != weights("before"), "{sets:?}");
    }
}

#[test]
fn a_cut_s_metrics_are_those_of_lists_for_what_was_known_before() {
    let (place, dataset, moments) = cut();
    place.ok(&["train", "c.toml", "--out", "run"]);
    let result = json(&place.path("run/result.json"));
    let times = dataset.times.as_ref().unwrap();
    let last = *times.iter().max().unwrap() + 1;
    for (part, from, to) in [("validation", moments[0], moments[1]), ("test", moments[1], last)] {
        let (mut lines, mut targets) = (String::new(), BTreeMap::new());
        for (user, name) in dataset.users.iter().enumerate() {
            let own = dataset.sequences.offsets[user]..dataset.sequences.offsets[user + 1];
            let at = |wanted: &dyn Fn(i64) -> bool| -> Vec<&str> {
                let own = own.clone().filter(|event| wanted(times[*event]));
                let id = |event: usize| dataset.sequences.items[event] as usize - 1;
                own.map(|event| dataset.items[id(event)].original.as_str()).collect()
            };
            let history = at(&|time| time < from);
            let asked: BTreeSet<&str> = at(&|time| time >= from && time < to).into_iter().collect();
            if !history.is_empty() && !asked.is_empty() {
                lines += &serde_json::json!({"user": name, "history": history}).to_string();
                lines += "\n";
                targets.insert(name.as_str(), asked);
            }
        }
        assert!(targets.len() > 40 && targets.len() < dataset.users.len());
        fs::write(place.path("in.jsonl"), lines).unwrap();
        place.ok(&[
            "recommend",
            "run",
            "--input",
            "in.jsonl",
            "--top",
            "50",
            "--out",
            "top.csv",
            "--force",
        ]);
        let mut found: BTreeMap<&str, f64> = BTreeMap::new();
        let text = fs::read_to_string(place.path("top.csv")).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let hit = targets[fields[0]].contains(fields[2]);
            *found.entry(fields[0]).or_default() += f64::from(hit);
        }
        let recall: f64 =
            targets.iter().map(|(user, targets)| found[user] / targets.len() as f64).sum();
        let expected = recall / targets.len() as f64;
        let measured = result[part]["recall@50"].as_f64().unwrap();
        assert!(expected > 0.0 && (expected - measured).abs() < 1e-9, "{part}: {measured}");
        let said = place.ok(&["evaluate", "run", "--split", part]);
        let all: usize = targets.values().map(BTreeSet::len).sum();
        // Thousands stand apart.
        let head = format!("{} users of the {part} part {all} targets", targets.len());
        assert!(said.replace(',', "").starts_with(&head), "{head}: {said}");
    }
    // All that there is, the test's too, is history for whoever recommends.
    place.ok(&["recommend", "run", "--all-users", "--out", "all.csv"]);
    let all = fs::read_to_string(place.path("all.csv")).unwrap();
    let users: BTreeSet<&str> =
        all.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(users.len(), dataset.users.len());
    // Every position of the window, and what trains.
    let sets = ["--set", "evaluation.protocol=positions", "--set", "train.monitor=mrr@10"];
    place.ok(&[&["evaluate", "run"][..], &sets].concat());
    place.ok(&["evaluate", "run", "--split", "train"]);
}

#[test]
fn leave_one_out_s_ranks_are_places_in_lists_of_what_is_new() {
    let place = Place::new();
    prepare(&place, &["--split", "leave-one-out"]);
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let measured = |set: &str| ["--set", set].map(str::to_owned);
    let sets =
        ["evaluation.protocol=leave-one-out", "evaluation.at=[10, 50]", "train.monitor=ndcg@10"];
    let sets = sets.map(measured).concat();
    for (run, config) in [("users", CONFIG), ("positions", SESSIONS)] {
        fs::write(place.path("c.toml"), config).unwrap();
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        place.ok(&[&["train", "c.toml", "--out", run][..], &sets].concat());
        let result = json(&place.path(run).join("result.json"));
        assert!(result["protocol"].as_str().unwrap().starts_with("leave-one-out: the last item"));
        for (part, left) in [("validation", 2), ("test", 1)] {
            let (mut lines, mut targets) = (String::new(), BTreeMap::new());
            for (user, name) in dataset.users.iter().enumerate() {
                let own = dataset.sequences.get(user);
                let id = |id: &u32| dataset.items[*id as usize - 1].original.as_str();
                let at = own.len().saturating_sub(left);
                if own.len() < 3 || own[..at].contains(&own[at]) {
                    continue;
                }
                let history: Vec<&str> = own[..at].iter().map(id).collect();
                lines += &serde_json::json!({"user": name, "history": history}).to_string();
                lines += "\n";
                targets.insert(name.as_str(), id(&own[at]));
            }
            assert!(targets.len() > 200);
            fs::write(place.path("in.jsonl"), lines).unwrap();
            let call = ["recommend", run, "--input", "in.jsonl", "--exclude-seen", "--top", "50"];
            place.ok(&[&call[..], &["--out", "top.csv", "--force"]].concat());
            let text = fs::read_to_string(place.path("top.csv")).unwrap();
            let mut of_user: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split(',').collect();
                of_user.entry(fields[0]).or_default().push(fields[2]);
            }
            let mean = |value: &dyn Fn(usize) -> f64| {
                let place = |(user, target): (&&str, &&str)| {
                    of_user[*user].iter().position(|item| item == target)
                };
                let found = targets.iter().filter_map(place);
                found.map(|place| value(place + 1)).sum::<f64>() / targets.len() as f64
            };
            for (name, expected) in [
                ("recall@50", mean(&|_| 1.0)),
                ("ndcg@50", mean(&|rank| 1.0 / (rank as f64 + 1.0).log2())),
                ("mrr@10", mean(&|rank| if rank <= 10 { 1.0 / rank as f64 } else { 0.0 })),
            ] {
                let measured = result[part][name].as_f64().unwrap();
                assert!(expected > 0.0 && (expected - measured).abs() < 1e-9, "{part} {name}");
            }
            let said = place.ok(&["evaluate", run, "--split", part]);
            let head = format!("{0} users of the {part} part, {0} targets\n", targets.len());
            assert!(said.starts_with(&head), "{head}: {said}");
            assert!(said.contains("recall by the history's length, %"), "{said}");
        }
    }
    let said =
        place.ok(&["baseline", "data", "--protocol", "leave-one-out", "--only", "popularity"]);
    assert!(said.contains("ndcg, %") && said.contains("@5"), "{said}");
}

#[test]
fn last_items_that_nothing_else_holds_are_said_to_be_left_out() {
    let place = Place::new();
    // 60 users with 8 items each, of which the last of two users stand nowhere else.
    let mut text = "user,item,time\n".to_owned();
    for user in 0..60 {
        for step in 0..8 {
            let alone = step == 7 && (user == 7 || user == 23);
            let item = if alone { 100 + user } else { (user + 3 * step) % 30 };
            text += &format!("u{user},i{item},{step}\n");
        }
    }
    fs::write(place.path("log.csv"), text).unwrap();
    prepare(&place, &["--split", "leave-one-out", "--min-item-count", "1"]);
    let sets = ["--set", "evaluation.protocol=leave-one-out"];
    let trained = place.ok(&[&["train", "c.toml", "--out", "run"][..], &sets].concat());
    let result = json(&place.path("run/result.json"));
    assert_eq!((&result["test_unrankable"], &result["test_users"]), (&2.into(), &58.into()));
    let parsed = |arguments: &[&str]| -> Value {
        serde_json::from_str(&place.ok(&[arguments, &["--json"]].concat())).unwrap()
    };
    for (split, unrankable) in [("test", 2u64), ("validation", 0)] {
        let evaluated = parsed(&["evaluate", "run", "--split", split]);
        assert_eq!(evaluated["unrankable"], unrankable, "{split}");
        let popularity = ["baseline", "data", "--only", "popularity", "--split", split];
        let measured = parsed(&[&popularity[..], &["--protocol", "leave-one-out"]].concat());
        let counts = ["unrankable", "users", "targets"].map(|key| measured[0][key].as_u64());
        let rest = Some(60 - unrankable);
        assert_eq!(counts, [Some(unrankable), rest, rest], "{split}");
    }
    let left_out = ", 2 more that no training and no history holds left out";
    assert!(place.ok(&["evaluate", "run"]).contains(left_out));
    assert!(trained.contains(&format!("58 users of the test part, 58 targets{left_out}")));
    // Where targets are a set nothing is left out.
    let as_a_set = ["evaluate", "run", "--set", "evaluation.protocol=holdout"];
    assert_eq!(parsed(&as_a_set)["unrankable"], 0);
}

#[test]
fn moments_are_dates_or_numbers_within_the_log() {
    let place = Place::new();
    // 20 users with an event on each of the first nine days of December, and one who comes late.
    let mut text = "user,item,time\n".to_owned();
    for (user, first) in (0..20).map(|user| (user, 1)).chain([(20, 9)]) {
        for day in first..10 {
            text += &format!("u{user},i{},2011-12-{day:02}T12:00:00\n", day % 4);
        }
    }
    fs::write(place.path("log.csv"), text).unwrap();
    let few = ["--min-user-count", "1"];
    let cut = |validation: &'static str, test: &'static str| {
        ["--split", "cut", "--validation-from", validation, "--test-from", test]
    };
    let said = prepare(&place, &[&few[..], &cut("2011-12-06", "2011-12-08T12:00:00")].concat());
    for (name, value) in [
        ("users that train", "20"),
        ("users that validate", "20"),
        ("users that test", "20"),
        ("… and their interactions", "100"),
        ("… and targets, a user's repeats once", "40 of 40"),
        ("… left out: users with nothing before", "0"),
    ] {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line.rsplit("  ").next().unwrap(), value, "{name}");
    }
    let left_out = said.lines().rfind(|line| line.starts_with("… left out")).unwrap();
    assert!(left_out.ends_with("  1"), "{said}");
    fs::write(
        place.path("d.toml"),
        "name = \"d\"\n[source]\nfiles = [\"log.csv\"]\nuser = \"user\"\nitem = \"item\"\n\
         time = \"time\"\n[rules]\nmin_user_count = 1\n[split]\nby = \"cut\"\n\
         validation_from = \"2011-12-06\"\ntest_from = 1323345600\n",
    )
    .unwrap();
    place.ok(&["prepare", "d.toml", "--out", "again"]);
    let load = |folder: &str| Dataset::load(&place.path(folder)).unwrap().manifest.checksum;
    assert_eq!(load("data"), load("again"));
    for (from, to) in [("2011-11-30", "2011-12-08"), ("2011-12-03", "2012-01-01")] {
        let words = [from, to, "times go from 2011-12-01T12:00:00 to 2011-12-09T12:00:00"];
        let options = [&LOG[..], &["--out", "no"], &cut(from, to)].concat();
        place.refused(&options, 2, &words);
    }
    let options = [&LOG[..], &["--out", "no"], &cut("soon", "2011-12-08")].concat();
    let output = place.command(&options).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("a date like 2011-11-01"), "{said}");
    let untimed = [&LOG[..7], &["--out", "no"], &cut("1", "2")].concat();
    place.refused(&untimed, 2, &["a split by cut needs a log with times", "--time"]);
}
