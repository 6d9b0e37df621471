//! `recommend`, `index` and `serve` rank cold items with the rest.

use std::collections::HashMap;
use std::fs;

use croloss::export::Export;
use serde_json::{Value, json};
use tch::{Device, Tensor};

use crate::common::Place;
use crate::known::{COLD, Known, tied};
use crate::server::{Server, scored};
use crate::weights::{Weights, asked};

/// The items that are recommended to each history, with their scores.
fn lists(place: &Place, call: &[&str]) -> Vec<Vec<(String, f64)>> {
    place.ok(&[call, &["--out", "top.jsonl"]].concat());
    let text = fs::read_to_string(place.path("top.jsonl")).unwrap();
    fs::remove_file(place.path("top.jsonl")).unwrap();
    let list = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let items = answer["items"].as_array().unwrap().clone();
        let item =
            |own: Value| (own["item"].as_str().unwrap().into(), own["score"].as_f64().unwrap());
        items.into_iter().map(item).collect()
    };
    text.lines().map(list).collect()
}

#[test]
fn cold_items_are_ranked_with_the_rest_by_recommend_index_and_serve() {
    let known = Known::exported(&tied());
    let (place, weights) = (&known.place, Weights::of(&known, true));
    let id = |at: usize| known.records[at]["item"].as_str().unwrap().to_owned();
    let cold: Vec<usize> = (known.records.len() - COLD..known.records.len()).collect();
    let histories: Vec<[usize; 3]> = (0..20).map(|at| [at, 2 * at + 30, 100 - at]).collect();
    let line = |own: &[usize; 3]| format!("{}\n", json!({"history": own.map(id)}));
    fs::write(place.path("in.jsonl"), histories.iter().map(line).collect::<String>()).unwrap();
    // Scores by definition, of all items.
    let vectors = Export::open(&place.path("towers")).unwrap();
    let tower = vectors.user_tower(Device::Cpu).unwrap();
    let scores = |history: &[usize; 3]| -> Vec<f64> {
        let ids: Vec<i64> = history.iter().map(|at| *at as i64 + 1).collect();
        let user = asked(&tower, vec![Tensor::from_slice(&ids).view([1, 3])]);
        let product = |(at, record): (usize, &Value)| {
            let vector = weights.vector(at + 1, record);
            vector.iter().zip(&user).map(|(x, y)| x * f64::from(*y)).sum()
        };
        known.records.iter().enumerate().map(product).collect()
    };
    let everything = known.records.len().to_string();
    place.ok(&["index", "towers"]);
    let ask = ["recommend", "towers", "--input", "in.jsonl", "--top", everything.as_str()];
    let from_run = ["recommend", "run", "--input", "in.jsonl", "--top", everything.as_str()];
    let by_index = [&ask[..], &["--index"]].concat();
    let near = ["recommend", "towers", "--input", "in.jsonl", "--top", "100"];
    let (exact, of_run) = (lists(place, &ask), lists(place, &from_run));
    for (history, (own, of_run)) in histories.iter().zip(exact.iter().zip(&of_run)) {
        let scores = scores(history);
        for list in [own, of_run] {
            let found: HashMap<&String, f64> =
                list.iter().map(|(id, score)| (id, *score)).collect();
            for &at in &cold {
                assert!(
                    (found[&id(at)] - scores[at]).abs() < 1e-5,
                    "{} {}",
                    found[&id(at)],
                    scores[at]
                );
            }
        }
    }
    let is_cold = |(id, _): &(String, f64)| id.starts_with("cold-");
    let cold_in = |lists: &[Vec<(String, f64)>]| {
        lists
            .iter()
            .enumerate()
            .flat_map(|(at, list)| {
                list.iter().filter(|hit| is_cold(hit)).map(move |(id, _)| (at, id.clone()))
            })
            .collect::<Vec<_>>()
    };
    let best = cold_in(&lists(place, &near));
    assert!(best.len() > 5, "{best:?}");
    let found = cold_in(&lists(place, &by_index));
    let missed = best.iter().filter(|own| !found.contains(own)).count();
    assert!(missed * 10 <= best.len(), "{missed} of {best:?}");

    let server = Server::start(place, &[]);
    let allow: Vec<String> = cold.iter().map(|at| id(*at)).collect();
    let history = histories[3];
    let (status, said) =
        server.post(json!({"histories": [history.map(id)], "allow": allow, "top": COLD}));
    assert_eq!(status, 200, "{said}");
    let given = scored(&said["recommendations"][0]);
    let mut expected: Vec<(f64, String)> =
        cold.iter().map(|at| (scores(&history)[*at], id(*at))).collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!(given.len(), COLD);
    for ((_, own), (score, _)) in given.iter().zip(&expected) {
        assert!((*own - score).abs() < 1e-5, "{said} {expected:?}");
    }
}
