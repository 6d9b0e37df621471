//! What requests allow and deny, and who is answered by popularity, from outside.

mod common;
#[allow(dead_code)] // Nobody misbehaves here.
#[path = "common/server.rs"]
mod server;

use std::fs::{self, File};
use std::thread;

use common::{Place, json};
use croloss::data::{Dataset, Split};
use croloss::export::{Export, sha256_of};
use polars::prelude::{ParquetReader, ParquetWriter, SerReader};
use serde_json::{Value, json};
use server::{Scored, Server, exported, original_ids, scored};
use tch::{Device, Tensor};

/// Every item's score for each history of rows, by TorchScript and plain sums.
fn all_scores(place: &Place, histories: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let export = Export::open(&place.path("towers")).unwrap();
    let tower = export.user_tower(Device::Cpu).unwrap();
    let numbers = |vectors: Tensor| -> Vec<Vec<f32>> { Vec::try_from(vectors).unwrap() };
    let items = numbers(export.item_vectors(Device::Cpu).unwrap());
    let of = |history: &Vec<usize>| {
        let ids: Vec<i64> = history.iter().map(|row| *row as i64 + 1).collect();
        let user = numbers(tower.forward_ts(&[Tensor::from_slice2(&[ids])]).unwrap()).remove(0);
        let dot = |item: &Vec<f32>| user.iter().zip(item).map(|(x, y)| f64::from(x * y)).sum();
        items.iter().map(dot).collect()
    };
    histories.iter().map(of).collect()
}

/// The `top` best rows of those that `may` be given.
fn best(scores: &[f64], top: usize, may: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..scores.len()).filter(|row| may(*row)).collect();
    rows.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    rows.truncate(top);
    rows
}

fn texts<'a>(items: &'a [String], rows: &[usize]) -> Vec<&'a str> {
    rows.iter().map(|row| items[*row].as_str()).collect()
}

#[test]
fn requests_are_given_what_they_allow_and_nothing_that_they_deny() {
    let place = exported();
    let items = original_ids(&place);
    place.ok(&["index", "towers"]);
    let barred = |row: usize| row % 11 == 3;
    let deny: Vec<usize> = (0..items.len()).filter(|row| barred(*row)).collect();
    fs::write(place.path("deny"), texts(&items, &deny).join("\n")).unwrap();
    let histories: Vec<Vec<usize>> =
        (1..=12).map(|n| (0..n % 5 + 1).map(|k| (n * 13 + k * 7) % 100).collect()).collect();
    let scores = all_scores(&place, &histories);
    // What is allowed, what is denied, and whether the history is left out.
    let third: Vec<usize> = (0..items.len()).step_by(3).collect();
    let few = vec![4, 3, 13, 200, 26, 4];
    let wishes: Vec<(Option<Vec<usize>>, Vec<usize>, bool)> = vec![
        (None, vec![], false),
        (None, (0..150).collect(), true),
        (Some(third.clone()), vec![], true),
        (Some(third), (0..90).step_by(2).collect(), true),
        (Some(few.clone()), vec![], false),
        (Some(few.clone()), few, false),
        (Some(vec![]), vec![], false),
    ];
    let (_, described) = Server::start(&place, &["--max-listed", "7"]).get("/openapi.json");
    let described: Value = serde_json::from_str(&described).unwrap();
    for list in ["allow", "deny"] {
        let of = &described["components"]["schemas"]["Wish"]["properties"][list];
        assert_eq!(of["maxItems"], 7, "{list}");
    }
    for index in [false, true] {
        let options = [&["--deny", "deny"][..], if index { &["--index"] } else { &[] }].concat();
        let server = Server::start(&place, &options);
        let client = |allow: &Option<Vec<usize>>, deny: &Vec<usize>, exclude_seen: bool| {
            let named: Vec<_> = histories.iter().map(|rows| texts(&items, rows)).collect();
            let mut wish = json!({"histories": named, "top": 25, "exclude_seen": exclude_seen});
            let with_stranger = |rows: &[usize]| [&texts(&items, rows)[..], &["?"]].concat();
            if let Some(rows) = allow {
                wish["allow"] = json!(with_stranger(rows));
            }
            wish["deny"] = json!(with_stranger(deny));
            let (status, answer) = server.post(wish);
            assert_eq!(status, 200, "{answer}");
            for (at, (history, scores)) in histories.iter().zip(&scores).enumerate() {
                let may = |row: usize| {
                    let seen = exclude_seen && history.contains(&row);
                    let allowed = allow.as_ref().is_none_or(|rows| rows.contains(&row));
                    allowed && !deny.contains(&row) && !barred(row) && !seen
                };
                let given = scored(&answer["recommendations"][at]);
                let expected = best(scores, 25, may);
                assert_eq!(given.len(), expected.len());
                for ((item, score), expected) in given.iter().zip(expected) {
                    let row = items.iter().position(|other| other == item).unwrap();
                    assert!(may(row) && (scores[row] - score).abs() < 1e-5, "{item}: {score}");
                    // A graph may miss an item where it is what is searched.
                    let exact = !index || allow.is_some();
                    assert!(!exact || (scores[expected] - score).abs() < 1e-5, "{item}: {score}");
                }
                assert!(given.is_sorted_by(|a, b| a.1 >= b.1));
            }
        };
        // All at once, so that they are scored in batches of different wishes.
        thread::scope(|scope| {
            for _ in 0..4 {
                for (allow, deny, exclude_seen) in &wishes {
                    scope.spawn(move || client(allow, deny, *exclude_seen));
                }
            }
        });
    }
}

#[test]
fn lines_of_json_allow_and_deny_for_recommend() {
    let place = exported();
    let items = original_ids(&place);
    let history = vec![7, 20];
    let scores = &all_scores(&place, std::slice::from_ref(&history))[0];
    let half: Vec<usize> = (0..items.len()).step_by(2).collect();
    let named = |rows: &[usize]| texts(&items, rows);
    let lines = [
        json!({"user": "both", "history": named(&history), "allow": named(&half), "deny": ["?", items[0]]}),
        json!({"user": "free", "history": named(&history)}),
        json!({"user": "none", "history": named(&history), "allow": ["?"]}),
    ];
    fs::write(place.path("in.jsonl"), lines.map(|line| line.to_string()).join("\n")).unwrap();
    for from in ["towers", "run"] {
        place.ok(&["recommend", from, "--input", "in.jsonl", "--out", "out.jsonl", "--force"]);
        let found = lines_of(&place, "out.jsonl");
        let expected =
            [best(scores, 10, |row| row % 2 == 0 && row != 0), best(scores, 10, |_| true), vec![]];
        for (line, expected) in found.iter().zip(expected) {
            let given: Vec<String> = scored(line).into_iter().map(|(item, _)| item).collect();
            assert_eq!(given, named(&expected), "{}", line["user"]);
        }
    }
    fs::write(place.path("bad.jsonl"), "{\"history\": [7], \"allow\": 7}").unwrap();
    place.refused(&["recommend", "towers", "--input", "bad.jsonl"], 1, &["bad.jsonl:1"]);
}

fn lines_of(place: &Place, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often users who train met each item.
fn training_counts(place: &Place) -> Vec<f64> {
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let mut counts = vec![0.0; dataset.items.len()];
    for user in (0..dataset.users.len()).filter(|user| dataset.split[*user] == Split::Train) {
        dataset.sequences.get(user).iter().for_each(|id| counts[*id as usize - 1] += 1.0);
    }
    counts
}

#[test]
fn cold_histories_are_answered_by_popularity_if_asked_for() {
    let place = exported();
    let (items, counts) = (original_ids(&place), training_counts(&place));
    fs::write(place.path("deny"), texts(&items, &[0, 5]).join("\n")).unwrap();
    let popular = |top, may: &dyn Fn(usize) -> bool| -> Scored {
        let rows = best(&counts, top, |row| row != 0 && row != 5 && may(row));
        rows.into_iter().map(|row| (items[row].clone(), counts[row])).collect()
    };
    let cold_start = ["--cold-start", "popularity", "--deny", "deny"];
    let server = Server::start(&place, &cold_start);
    let histories = json!([["?"], [items[9], "?"], []]);
    for (more, may) in [
        (json!({}), &(|_| true) as &dyn Fn(usize) -> bool),
        (json!({"deny": [items[1], items[7]]}), &|row| row != 1 && row != 7),
        (json!({"allow": [items[40], items[2], items[0], "?"]}), &|row| row == 40 || row == 2),
        (json!({"allow": []}), &|_| false),
    ] {
        let mut wish = json!({"histories": histories, "top": 30, "exclude_seen": true});
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = server.post(&wish);
        let [stranger, known, empty] = &answer["recommendations"].as_array().unwrap()[..] else {
            panic!("{answer}");
        };
        assert_eq!((status, scored(stranger)), (200, popular(30, may)), "{wish}");
        assert_eq!((scored(empty), &empty["fallback"]), (scored(stranger), &json!("popularity")));
        assert_eq!((&stranger["unknown"], &empty["unknown"]), (&json!(1), &json!(0)));
        assert_eq!((known.get("fallback"), &known["unknown"]), (None, &json!(1)));
        assert!(scored(known).iter().all(|(_, score)| *score <= 1.0 + 1e-6));
    }
    assert_eq!(server.metric("croloss_popular_total"), 8);
    assert_eq!(server.metric("croloss_histories_total"), 4);

    // In files, of an export and of a run, in the order of the histories.
    let lines = [json!({"history": ["?"]}), json!({"history": [items[9]]}), json!({"history": []})];
    fs::write(place.path("in.jsonl"), lines.map(|line| line.to_string()).join("\n")).unwrap();
    for from in ["towers", "run"] {
        let command = ["recommend", from, "--input", "in.jsonl", "--force"];
        place.ok(&[&command[..], &cold_start, &["--out", "out.jsonl"]].concat());
        let found = lines_of(&place, "out.jsonl");
        let fallbacks: Vec<&Value> = found.iter().map(|line| &line["fallback"]).collect();
        assert_eq!(fallbacks, [&json!("popularity"), &Value::Null, &json!("popularity")]);
        assert_eq!(scored(&found[0]), popular(10, &|_| true));
        assert_eq!(scored(&found[2]), scored(&found[0]));
        place.ok(&[&command[..], &cold_start, &["--out", "out.csv"]].concat());
        let text = fs::read_to_string(place.path("out.csv")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (item, count) = &popular(1, &|_| true)[0];
        assert_eq!(
            lines[..2],
            ["user,rank,item,score,fallback", &format!("1,1,{item},{count},popularity")]
        );
        assert!(lines[11].starts_with("2,1,") && lines[11].ends_with(','), "{}", lines[11]);
    }
    // Strangers alone are no failure then.
    let nobody = ["recommend", "run", "--user", "nobody", "--cold-start", "popularity"];
    let output = place.command(&nobody).output().unwrap();
    let (said, errors) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (said, errors) = (said.unwrap(), errors.unwrap());
    assert!(output.status.success() && said.contains("popularity"), "{said} {errors}");
    assert!(errors.contains("1 histories have no known item"), "{errors}");
    place.refused(&nobody[..4], 1, &["no history has a known item"]);
}

/// Exports of earlier versions do not tell how often an item was met in training.
#[test]
fn an_export_without_counts_serves_but_has_to_be_made_again_for_cold_starts() {
    let place = exported();
    let items = original_ids(&place);
    let path = place.path("towers/items.parquet");
    let frame = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
    let counts: Vec<f64> = frame
        .column("training_count")
        .unwrap()
        .u64()
        .unwrap()
        .iter()
        .map(|count| count.unwrap() as f64)
        .collect();
    assert_eq!(counts, training_counts(&place));
    let mut old = frame.drop("training_count").unwrap();
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut old).unwrap();
    let mut manifest = json(&place.path("towers/export.json"));
    manifest["files"]["items.parquet"] = json!(sha256_of(&fs::read(&path).unwrap()));
    fs::write(place.path("towers/export.json"), manifest.to_string()).unwrap();

    place.ok(&["recommend", "towers", "--history", &items[0]]);
    let words = ["items.parquet", "export again"];
    let cold_start = ["--cold-start", "popularity"];
    let recommend = ["recommend", "towers", "--history", &items[0]];
    place.refused(&[&recommend[..], &cold_start].concat(), 2, &words);
    place.refused(
        &[&["serve", "towers", "--listen", "127.0.0.1:0"][..], &cold_start].concat(),
        2,
        &words,
    );
}
