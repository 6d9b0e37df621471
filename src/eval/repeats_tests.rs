//! Ranks where scores gain by repeats, against brute force in small whole numbers: by both paths,
//! under both protocols.

use rand::RngExt;
use tch::{Kind, Tensor};

use super::*;
use crate::config::Protocol;
use crate::config::Seen;
use crate::model::Additions;
use crate::random::{Purpose, stream};

const PATHS: [(Kind, ComputePath); 3] = [
    (Kind::Float, ComputePath::HostLoops),
    (Kind::Float, ComputePath::TensorOps),
    (Kind::Double, ComputePath::TensorOps),
];

const ITEMS: u32 = 25;

/// The latest items of a history that are read and count.
const HISTORY: usize = 6;

type Vector = [i32; 3];

fn additions() -> Additions {
    Additions {
        history: HISTORY,
        by_count: [1.0, 3.0, -2.0, 1.0, 0.0, 4.0, 0.0, 0.0],
        by_recency: [-2.0, 2.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0],
    }
}

/// What an item gains, by definition.
fn gain(history: &[u32], item: u32) -> i32 {
    let latest = &history[history.len().saturating_sub(HISTORY)..];
    let count = latest.iter().filter(|own| **own == item).count();
    let Some(later) = latest.iter().rev().position(|own| *own == item) else { return 0 };
    let recency = [-2, 2, 2, 0, 0, 0][later];
    [1, 3, -2, 1, 0, 4][count - 1] + recency
}

/// The ranks of a query's targets, by definition.
fn brute(user: Vector, items: &[Vector], query: &Query, seen: Seen) -> Vec<u64> {
    let score = |item: u32| {
        let row = items[item as usize - 1];
        user.iter().zip(row).map(|(a, b)| a * b).sum::<i32>() + gain(query.history, item)
    };
    let hidden = |item: u32| seen == Seen::Exclude && query.history.contains(&item);
    let rank = |target: &u32| {
        let beats =
            |item: &u32| *item == *target || (!hidden(*item) && score(*item) >= score(*target));
        (1..=ITEMS).filter(beats).count() as u64
    };
    query.targets.iter().map(rank).collect()
}

fn tensor(rows: &[Vector], kind: Kind) -> Tensor {
    let flat: Vec<f32> = rows.concat().iter().map(|&x| x as f32).collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, 3]).to_kind(kind)
}

/// A user's vector is a function of the latest item.
struct Fake {
    items: Vec<Vector>,
    kind: Kind,
}

impl Fake {
    fn new(kind: Kind) -> Self {
        let mut rng = stream(6, Purpose::Batch, 0);
        let items = (0..ITEMS).map(|_| std::array::from_fn(|_| rng.random_range(-2..=2))).collect();
        Self { items, kind }
    }

    fn vector(&self, history: &[u32]) -> Vector {
        let [a, b, c] = self.items[history[history.len() - 1] as usize - 1];
        [c, a, b]
    }
}

impl PositionVectors for Fake {
    fn positions(&self, _: &[usize], sessions: &[&[u32]]) -> Tensor {
        let of = |session: &&[u32]| {
            (1..session.len()).map(|end| self.vector(&session[..end])).collect::<Vec<_>>()
        };
        tensor(&sessions.iter().flat_map(of).collect::<Vec<_>>(), self.kind)
    }

    fn items(&self, path: ComputePath) -> Catalogue {
        Catalogue::new(tensor(&self.items, self.kind), path).with(Some(additions()))
    }
}

/// Sessions in which most items come again.
fn sessions() -> Vec<Vec<u32>> {
    let mut rng = stream(5, Purpose::Batch, 0);
    let session = |_| {
        let first = rng.random_range(1..=ITEMS - 4);
        (0..rng.random_range(2..14)).map(|_| first + rng.random_range(0..5)).collect()
    };
    (0..200).map(session).collect()
}

#[test]
fn ranks_of_users_are_those_of_brute_force() {
    let sessions = sessions();
    for seen in [Seen::Keep, Seen::Exclude] {
        let of = |own| Query::of_holdout(own, None, seen);
        let queries: Vec<Query> = sessions.iter().map(|own| of(own)).collect();
        for (kind, path) in PATHS {
            let fake = Fake::new(kind);
            let vectors: Vec<Vector> = queries.iter().map(|q| fake.vector(q.history)).collect();
            let users = tensor(&vectors, kind);
            let of = |items: &Catalogue| ranks(&users, items, &queries, seen).unwrap();
            let (with, without) = (fake.items(path), fake.items(path).with(None));
            let (found, plain) = (of(&with), of(&without));
            // What gains is in the history: left out, it is no rival.
            assert_eq!(found == plain, seen == Seen::Exclude);
            let of = |(user, query)| brute(user, &fake.items, query, seen);
            let expected: Vec<Vec<u64>> = vectors.into_iter().zip(&queries).map(of).collect();
            assert_eq!(found, expected, "{seen:?}, {kind:?}, {path:?}");
        }
    }
}

#[test]
fn ranks_of_positions_are_those_of_brute_force() {
    let sessions = sessions();
    let mut all = Sequences { items: sessions.concat(), offsets: vec![0] };
    sessions
        .iter()
        .for_each(|own| all.offsets.push(all.offsets[all.offsets.len() - 1] + own.len()));
    for seen in [Seen::Keep, Seen::Exclude] {
        for (kind, path) in PATHS {
            let fake = Fake::new(kind);
            let config = EvaluationConfig { protocol: Protocol::Positions, at: vec![3], seen };
            let evaluation = PositionEvaluation {
                sequences: &all,
                users: (0..sessions.len()).collect(),
                windows: None,
                config: &config,
                history: HISTORY,
                path,
            };
            let (found, _) = evaluation.run(&fake, &mut |_| Ok(())).unwrap().ranks();
            for (session, found) in sessions.iter().zip(found) {
                let of =
                    |query: Query| brute(fake.vector(query.history), &fake.items, &query, seen);
                let asked = Query::of_positions(session, HISTORY).filter(|query| {
                    seen == Seen::Keep || !query.history.contains(&query.targets[0])
                });
                let expected: Vec<u64> = asked.flat_map(of).collect();
                assert_eq!(found, expected, "{seen:?}, {kind:?}, {path:?}");
            }
        }
    }
}

#[test]
fn additions_that_are_no_numbers_are_an_error() {
    let rows = tensor(&[[1, 2, 3]], Kind::Float);
    let by_count = [f32::NAN; 8];
    let broken = Additions { by_count, ..additions() };
    let items = Catalogue::new(rows, ComputePath::HostLoops).with(Some(broken));
    assert!(items.checked().err().unwrap().to_string().contains("not all numbers"));
}
