//! Epochs, cuts and candidates of session batches.

use std::collections::HashSet;

use tch::Tensor;

use super::*;
use crate::config::{NegativeSource, Origin, Samples};

/// Session `s` has the items 10s+1, 10s+2, … and s + 1 of them.
fn sequences() -> Sequences {
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for session in 0..9u32 {
        all.items.extend((1..=session + 1).map(|at| 10 * session + at));
        all.offsets.push(all.items.len());
    }
    all
}

fn batches(sequences: &Sequences, order: Order) -> SessionBatches<'_> {
    let source = |from, count, per| NegativeSource { from, count, per };
    let config = SamplingConfig {
        samples: Samples::Positions,
        batch: 3,
        order,
        negatives: vec![
            source(Origin::Uniform, 7, Per::Batch),
            source(Origin::InBatch, 5, Per::Session),
            source(Origin::Uniform, 2, Per::Event),
        ],
        ..Default::default()
    };
    let setting = Setting { items: 99, history: 4, tied: true, seed: 1, device: Device::Cpu };
    SessionBatches::new(sequences, (0..9).collect(), &config, setting).unwrap()
}

fn list(tensor: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// The ids that slots stand for.
fn ids(batch: &SessionBatch, slots: &Tensor) -> Vec<i64> {
    list(&batch.scored.index_select(0, &slots.view(-1)))
}

#[test]
fn an_epoch_is_every_session_once_and_its_last_batch_what_is_left() {
    let sequences = sequences();
    for order in [Order::Given, Order::Shuffled] {
        let batches = batches(&sequences, order);
        // Session 0 has one item: nothing to learn.
        assert_eq!(batches.per_epoch(), 3);
        let mut orders = vec![];
        for epoch in 0..2 {
            let mut seen = vec![];
            for step in 3 * epoch..3 * epoch + 3 {
                let batch = batches.draw(step);
                let inputs = list(&batch.inputs);
                let sessions = list(&batch.session);
                let targets = ids(&batch, &batch.targets);
                assert_eq!(batch.sessions(), if step % 3 == 2 { 2 } else { 3 });
                for ((input, target), pair) in inputs.iter().zip(&targets).zip(sessions.windows(2))
                {
                    assert_eq!(*target, input + 1);
                    assert!(pair[0] <= pair[1]);
                }
                // The latest four items are read.
                assert!(targets.iter().all(|t| t % 10 > (t / 10 + 1) - 4), "{targets:?}");
                let mut own: Vec<i64> = inputs.iter().map(|item| item / 10).collect();
                own.dedup();
                seen.extend(own);
            }
            assert_eq!(HashSet::<i64>::from_iter(seen.iter().copied()), (1..9).collect());
            assert_eq!(seen.len(), 8);
            orders.push(seen);
        }
        let given: Vec<i64> = (1..9).collect();
        assert_eq!(orders[0] == given && orders[1] == given, order == Order::Given);
        assert_eq!(orders[0] != orders[1], order == Order::Shuffled);
    }
}

#[test]
fn at_random_every_batch_draws_distinct_sessions_anew() {
    let sequences = sequences();
    let batches = batches(&sequences, Order::Random);
    let drawn = |step: u64| -> Vec<i64> {
        let inputs = list(&batches.draw(step).inputs);
        let mut own: Vec<i64> = inputs.iter().map(|item| item / 10).collect();
        own.dedup();
        own
    };
    let mut seen = HashSet::new();
    for step in 0..30 {
        let own = drawn(step);
        assert_eq!(HashSet::<i64>::from_iter(own.iter().copied()).len(), 3, "{own:?}");
        assert_eq!(own, drawn(step), "a batch is a function of its step");
        seen.extend(own);
    }
    assert_eq!(seen, (1..9).collect());
}

#[test]
fn candidates_are_of_the_batch_the_session_or_the_position() {
    let sequences = sequences();
    let batch = batches(&sequences, Order::Given).draw(1);
    let positions = batch.positions();
    assert_eq!((batch.shared.size(), batch.candidates()), (vec![7], 14));
    assert_eq!(batch.of_session.size(), [3, 5]);
    assert_eq!(batch.of_position.size(), [positions, 2]);
    // Sessions 4, 5 and 6: in-batch candidates are clicks of the two others.
    for (at, drawn) in ids(&batch, &batch.of_session).chunks(5).enumerate() {
        let own = at as i64 + 4;
        assert!(drawn.iter().all(|item| (4..7).contains(&(item / 10)) && item / 10 != own));
    }
    let scored = list(&batch.scored);
    assert!(scored.is_sorted() && scored.iter().all(|id| (1..=99).contains(id)));
    let again = batches(&sequences, Order::Given);
    again.draw(2);
    assert_eq!(list(&again.draw(1).scored), scored, "a batch is a function of its step");
}

#[test]
fn a_session_s_own_items_are_known_wherever_they_are_scored() {
    let sequences = sequences();
    let batch = batches(&sequences, Order::Given).draw(2);
    let own = batch.own_items();
    let scored = list(&batch.scored);
    // Sessions 7 and 8, cut to the latest 5 items, the first of which is only read.
    for (row, session) in [(0, 7i64), (1, 8)] {
        for (slot, id) in scored.iter().enumerate() {
            let within = id / 10 == session && id % 10 > session + 1 - 5 && id % 10 <= session + 1;
            assert_eq!(own.int64_value(&[row, slot as i64]) == 1, within, "{session}: {id}");
        }
    }
}

#[test]
fn parts_are_the_batch_in_order_and_about_equal() {
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for session in 0..200 {
        let length = 2 + session * 7 % 9;
        all.items.extend((0..length).map(|at| (session + at) as u32 % 99 + 1));
        all.offsets.push(all.items.len());
    }
    let source = NegativeSource { from: Origin::Uniform, count: 5, per: Per::Batch };
    let config = SamplingConfig {
        samples: Samples::Positions,
        batch: 150,
        negatives: vec![source],
        ..Default::default()
    };
    let setting = Setting { items: 99, history: 20, tied: false, seed: 1, device: Device::Cpu };
    let batches = SessionBatches::new(&all, (0..200).collect(), &config, setting).unwrap();
    let batch = batches.draw(0);
    let mut from = 0;
    for part in &batch.parts {
        assert_eq!(part.from, from);
        assert_eq!(part.layout.from_end().size(), [part.count]);
        assert!((part.count - batch.positions() / batch.parts.len() as i64).abs() < 12);
        from += part.count;
    }
    assert_eq!(from, batch.positions());
    assert_eq!(batch.parts.len(), 8, "{from} positions");
}
