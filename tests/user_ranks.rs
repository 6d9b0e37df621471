//! Fields of users from outside: a run's ranks and lists are those that the definition makes of its
//! trained weights.

mod common;
#[allow(dead_code)] // The type of a list is all that is asked for here.
#[path = "common/server.rs"]
mod server;
#[allow(dead_code)] // Not all of it is asked for here.
#[path = "common/user_fields.rs"]
mod trained;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use common::{SESSIONS, json};
use croloss::data::Split;
use croloss::model::{Layout, Queries};
use polars::prelude::*;
use serde_json::{Value, json};
use tch::{Device, Tensor};
use trained::{READ, Trained, told};

/// What the dataset knows of a user.
fn known_of(user: usize) -> Value {
    told(user).unwrap_or(json!({}))
}

fn sequence(trained: &Trained, user: usize) -> Vec<i64> {
    trained.dataset.sequences.get(user).iter().map(|id| i64::from(*id)).collect()
}

/// Of each of the test's users the targets with their ranks, in the order of `ranks.parquet`.
fn ranked(trained: &Trained) -> BTreeMap<usize, Vec<(u32, u64)>> {
    let file = File::open(trained.place.path("run/ranks.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let column = |name: &str| -> Vec<u64> {
        let column = frame.column(name).unwrap().cast(&DataType::UInt64).unwrap();
        column.u64().unwrap().into_no_null_iter().collect()
    };
    let mut all: BTreeMap<usize, Vec<(u32, u64)>> = BTreeMap::new();
    let targets = column("item").into_iter().zip(column("rank"));
    for (user, (item, rank)) in column("user").into_iter().zip(targets) {
        all.entry(user as usize).or_default().push((item as u32, rank));
    }
    assert!(all.keys().copied().eq(trained.dataset.users_of(Split::Test)));
    all
}

/// Whether an item has this rank by the scores of all, but for rounding.
fn fits(scores: &[f32], item: u32, rank: u64) -> bool {
    let own = scores[item as usize - 1];
    let above = |least: f32| scores.iter().filter(|score| **score > least).count() as u64;
    (above(own + 1e-5) + 1..=above(own - 1e-5)).contains(&rank)
}

/// Of lists of `at` items for the test's users the share of the catalogue that is in them, and the mean
/// of the items' counts in training; `known`: how much of a sequence is history.
fn held(
    trained: &Trained,
    known: fn(usize) -> usize,
    at: usize,
    told: &dyn Fn(usize) -> Value,
) -> [f64; 2] {
    let counts = trained.dataset.training_counts();
    let (mut listed, mut places, mut sum) = (BTreeSet::new(), 0u32, 0);
    for user in trained.dataset.users_of(Split::Test) {
        let sequence = sequence(trained, user);
        let scores = trained.scores(&sequence[..known(sequence.len())], &told(user));
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        for item in order.into_iter().take(at) {
            listed.insert(item);
            places += 1;
            sum += counts[item];
        }
    }
    [listed.len() as f64 / counts.len() as f64, sum as f64 / f64::from(places)]
}

fn assert_lists(trained: &Trained, known: fn(usize) -> usize) {
    let result = json(&trained.place.path("run/result.json"));
    let lists = result["test_lists"].as_object().unwrap();
    assert_eq!(lists.len(), 2);
    for (at, own) in lists {
        let at = at.parse().unwrap();
        let expected = held(trained, known, at, &known_of);
        assert_ne!(expected, held(trained, known, at, &|_| json!({})), "@{at}");
        for (name, expected) in ["coverage", "popularity"].into_iter().zip(expected) {
            let found = own[name].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{name} @{at}: {found}, {expected}");
        }
    }
}

#[test]
fn ranks_and_lists_hear_the_fields_of_users() {
    let trained = Trained::plain();
    let (mut targets, mut deaf) = (0, 0);
    for (user, found) in ranked(&trained) {
        let sequence = sequence(&trained, user);
        let (history, rest) = sequence.split_at(sequence.len() * 4 / 5);
        let asked: BTreeSet<i64> = rest.iter().copied().collect();
        assert!(found.iter().map(|(item, _)| i64::from(*item)).collect::<BTreeSet<_>>() == asked);
        let heard = trained.scores(history, &known_of(user));
        let unheard = trained.scores(history, &json!({}));
        for (item, rank) in found {
            assert!(fits(&heard, item, rank), "user {user}, item {item}, rank {rank}");
            deaf += usize::from(fits(&unheard, item, rank));
            targets += 1;
        }
    }
    assert!(targets > 80 && 2 * deaf < targets, "{deaf} of {targets} say nothing");
    assert_lists(&trained, |length| length * 4 / 5);
}

/// Scores of all items at every position of what is read of a session.
fn of_positions(trained: &Trained, read: &[i64], told: &Value) -> Vec<Vec<f32>> {
    let _guard = tch::no_grad_guard();
    let model = &trained.model;
    let rows = model.items.read_of(&Tensor::from_slice(read));
    let layout = Layout::packed(&[read.len()], Device::Cpu);
    let added = Tensor::from_slice2(&vec![trained.added(told); read.len()]);
    let vectors = model.queries(&rows, &layout, Queries::Every, None, Some(&added));
    Vec::try_from(vectors.matmul(&model.item_vectors().tr())).unwrap()
}

#[test]
fn ranks_and_lists_of_positions_hear_the_fields_of_users() {
    let own = format!("encoder = \"transformer\"\nlayers = 1\n{READ}");
    let trained = Trained::new(&SESSIONS.replace("encoder = \"transformer\"", &own));
    let (mut targets, mut deaf) = (0, 0);
    for (user, found) in ranked(&trained) {
        let sequence = sequence(&trained, user);
        // The latest items that are read, and the one behind them.
        let latest = &sequence[sequence.len().saturating_sub(5 + 1)..];
        let asked: Vec<i64> = found.iter().map(|(item, _)| i64::from(*item)).collect();
        assert_eq!(asked, latest[1..]);
        let read = &latest[..latest.len() - 1];
        let heard = of_positions(&trained, read, &known_of(user));
        let unheard = of_positions(&trained, read, &json!({}));
        for (at, (item, rank)) in found.into_iter().enumerate() {
            assert!(fits(&heard[at], item, rank), "user {user}, item {item}, rank {rank}");
            deaf += usize::from(fits(&unheard[at], item, rank));
            targets += 1;
        }
    }
    assert!(targets > 80 && 2 * deaf < targets, "{deaf} of {targets} say nothing");
    assert_lists(&trained, |length| length - 1);
}
