//! What requests allow and deny, from outside.

mod common;
#[allow(dead_code)] // Nobody misbehaves here.
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::thread;

use common::Place;
use croloss::export::Export;
use serde_json::{Value, json};
use server::{Server, exported, original_ids, scored};
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
