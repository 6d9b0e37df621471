//! The catalogue ranked by ranks, each of which counts among its own items, against one process.

use rand::RngExt;
use tch::{Device, Kind};

use super::*;
use crate::config::{Protocol, Seen, TowerConfig};
use crate::model::Repeats;
use crate::random::{Purpose, stream};
use crate::ranks::{Team, together};

const ITEMS: usize = 700;

fn sequences() -> Sequences {
    let mut rng = stream(8, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..60 {
        let length = rng.random_range(2..30);
        // Few, so that there are repeats.
        let of_few = (0..length).map(|_| rng.random_range(1..=ITEMS as u32 / 10) * 10);
        all.items.extend(of_few);
        all.offsets.push(all.items.len());
    }
    all
}

/// A model of whose weights none is 0.
fn model(tower: &TowerConfig, team: &Team) -> Model {
    let model = match team.is_alone() {
        true => Model::new(tower, ITEMS, 3, Device::Cpu),
        false => Model::sharded(tower, ITEMS, 3, team),
    };
    for (_, mut own) in model.repeats.iter().map(Repeats::parameter) {
        let _guard = tch::no_grad_guard();
        let values = tch::Tensor::arange(own.numel() as i64, (Kind::Float, Device::Cpu)) * 0.01;
        own.copy_(&values.view_as(&own));
    }
    model
}

type Ranked = (Vec<Vec<u64>>, Vec<Vec<u32>>);

fn ranked(tower: &TowerConfig, config: &EvaluationConfig, ranks: usize) -> Vec<Ranked> {
    let sequences = sequences();
    together(ranks, |team| {
        let model = model(tower, &team);
        let users = (0..sequences.len()).collect();
        let (sequences, history, path) = (&sequences, tower.history, ComputePath::HostLoops);
        let mut go_on = |_| Ok(());
        let windows = None;
        let metrics = match config.protocol {
            Protocol::Positions => {
                PositionEvaluation { sequences, users, windows, config, history, path }
                    .run(&model, &mut go_on)
            }
            _ => Evaluation { sequences, users, windows, known: None, config, history, path }
                .run(&model, &mut go_on),
        };
        metrics.unwrap().ranks()
    })
}

#[test]
fn ranks_find_the_ranks_that_one_process_finds() {
    let plain = TowerConfig { dim: 7, history: 9, ..Default::default() };
    let biased = TowerConfig { tied: false, output_bias: true, normalize: false, ..plain.clone() };
    let repeats = TowerConfig { repeats: true, ..plain.clone() };
    for (tower, protocol, seen) in [
        (&plain, Protocol::Holdout, Seen::Keep),
        (&plain, Protocol::LeaveOneOut, Seen::Exclude),
        (&biased, Protocol::Positions, Seen::Keep),
        (&repeats, Protocol::Positions, Seen::Exclude),
        (&repeats, Protocol::Holdout, Seen::Keep),
    ] {
        let config = EvaluationConfig { protocol, at: vec![10], seen };
        let alone = ranked(tower, &config, 1).remove(0);
        let all: Vec<u64> = alone.0.concat();
        assert!(all.len() > 30 && all.iter().any(|rank| *rank > 100), "{all:?}");
        for ranks in [2, 3, 5] {
            for own in ranked(tower, &config, ranks) {
                assert_eq!(own, alone, "{protocol:?} {seen:?} by {ranks}");
            }
        }
    }
}

#[test]
fn ranks_list_what_one_process_lists() {
    let tower = TowerConfig { dim: 7, history: 9, ..Default::default() };
    let (sequences, counts) = (sequences(), vec![3; ITEMS]);
    for seen in [Seen::Keep, Seen::Exclude] {
        let config = EvaluationConfig { protocol: Protocol::Holdout, at: vec![5, 2 * ITEMS], seen };
        let listed = |ranks| {
            together(ranks, |team| {
                let users = 0..sequences.len();
                let query = |user| Query::for_list(sequences.get(user), None, &config);
                let queries = users.map(query).filter(|own| !own.history.is_empty()).collect();
                let path = ComputePath::HostLoops;
                let listing =
                    Listing { queries, config: &config, history: 9, counts: &counts, path };
                listing.run(&model(&tower, &team), &mut |_| Ok(())).unwrap()
            })
        };
        let alone = listed(1).remove(0);
        assert!(alone[&5].coverage > 0.05 && alone[&5].coverage < 0.6, "{alone:?}");
        for ranks in [2, 3] {
            listed(ranks).into_iter().for_each(|own| assert_eq!(own, alone, "{seen:?}"));
        }
    }
}
