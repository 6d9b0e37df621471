//! Ranks that kernels count are those by definition.

use croloss::config::Seen;
use croloss::device::ComputePath;
use croloss::eval::{Catalogue, Query, ranks};
use croloss::model::{Additions, Scoring};
use croloss::random::{Purpose, stream};
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::machine::{self, gpu};

/// Items, users, width: less than a warp takes, as much, and more.
const SIZES: [(u32, usize, usize); 6] =
    [(1, 1, 1), (7, 3, 2), (128, 16, 4), (129, 17, 3), (700, 40, 33), (257, 0, 8)];

#[test]
fn kernels_rank_as_brute_force_does() {
    machine::inner("ranks::whole_numbers");
    machine::inner("ranks::broken_numbers");
}

/// Items that stand in a history once, twice, three times gain this, whenever that was.
const GAINS: [i32; 3] = [1, -2, 3];

fn additions() -> Additions {
    let mut by_count = [0.0; 8];
    by_count.iter_mut().zip(GAINS).for_each(|(own, gain)| *own = gain as f32);
    Additions { history: 6, by_count, by_recency: [0.0; 8] }
}

/// Histories in which items come again, up to three times, and some targets; those that are seen are left out
/// where these are.
fn questions(items: u32, users: usize, seen: Seen) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut rng = stream(4, Purpose::Batch, 0);
    let mut question = || {
        let mut history: Vec<u32> = vec![];
        for _ in 0..6 {
            let id = rng.random_range(1..=items.min(4)) + rng.random_range(0..=items / 100);
            if history.iter().filter(|own| **own == id).count() < GAINS.len() {
                history.push(id);
            }
        }
        let mut targets: Vec<u32> =
            (0..rng.random_range(0..7)).map(|_| rng.random_range(1..=items)).collect();
        targets.push(history[0]);
        targets.sort_unstable();
        targets.dedup();
        targets.retain(|id| seen == Seen::Keep || !history.contains(id));
        (history, targets)
    };
    (0..users).map(|_| question()).collect()
}

fn vectors(count: usize, dim: usize, mut number: impl FnMut() -> f32) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..dim).map(|_| number()).collect()).collect()
}

fn tensor(rows: &[Vec<f32>], dim: usize) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, dim as i64]).to_device(gpu())
}

/// Numbers so small and whole that every sum is exact, and many are equal.
#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn whole_numbers() {
    let mut rng = stream(3, Purpose::Batch, 0);
    for (items, users, dim) in SIZES {
        let mut draw = |count| vectors(count, dim, || rng.random_range(-1..=1) as f32);
        let (rows, people) = (draw(items as usize), draw(users));
        for seen in [Seen::Keep, Seen::Exclude] {
            let asked = questions(items, users, seen);
            let queries: Vec<Query> =
                asked.iter().map(|(history, own)| Query::new(history, own.clone())).collect();
            for gaining in [false, true] {
                let catalogue = Catalogue::new(tensor(&rows, dim), ComputePath::TensorOps)
                    .with(gaining.then(additions));
                let found = ranks(&tensor(&people, dim), &catalogue, &queries, seen).unwrap();
                let expected: Vec<Vec<u64>> = asked
                    .iter()
                    .zip(&people)
                    .map(|((history, targets), user)| {
                        let score = |id: u32| {
                            let pairs = user.iter().zip(&rows[id as usize - 1]);
                            let times = history.iter().filter(|own| **own == id).count();
                            let gain = if gaining && times > 0 { GAINS[times - 1] } else { 0 };
                            pairs.map(|(a, b)| (a * b) as i32).sum::<i32>() + gain
                        };
                        let hidden = |id| seen == Seen::Exclude && history.contains(&id);
                        let rank = |target: &u32| {
                            let least = score(*target);
                            let all = (1..=items).filter(|&id| !hidden(id));
                            all.filter(|&id| score(id) >= least).count() as u64
                        };
                        targets.iter().map(rank).collect()
                    })
                    .collect();
                assert_eq!(found, expected, "{items} {users} {dim} {seen:?} {gaining}");
            }
        }
    }
}

/// Scores by one order of sums, each rounded once with its product: by that they rank, and vectors that
/// differ in the last digit alone are told apart.
#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn broken_numbers() {
    let mut rng = stream(5, Purpose::Batch, 0);
    for (items, users, dim) in SIZES {
        let mut draw = |count| vectors(count, dim, || rng.random_range(-1.0..1.0));
        let (mut rows, people) = (draw(items as usize), draw(users));
        for at in (2..rows.len()).step_by(3) {
            rows[at] = rows[at - 1].iter().map(|x: &f32| x.next_up()).collect();
        }
        let asked = questions(items, users, Seen::Keep);
        let queries: Vec<Query> =
            asked.iter().map(|(_, own)| Query::new(&[], own.clone())).collect();
        for unit in [false, true] {
            let rows_there = tensor(&rows, dim);
            let catalogue = match unit {
                true => Catalogue::of_unit(rows_there, ComputePath::TensorOps),
                false => Catalogue::new(rows_there, ComputePath::TensorOps),
            };
            let vector = |row: &Vec<f32>| -> Vec<f32> {
                let square = row.iter().fold(0.0, |sum, x| sum + x * x);
                let factor = 1.0 / (square + Scoring::EPSILON as f32).sqrt();
                row.iter().map(|x| if unit { x * factor } else { *x }).collect()
            };
            let vectors: Vec<Vec<f32>> = rows.iter().map(vector).collect();
            let found = ranks(&tensor(&people, dim), &catalogue, &queries, Seen::Keep).unwrap();
            for ((user, (_, targets)), found) in people.iter().zip(&asked).zip(found) {
                let score = |row: &Vec<f32>| {
                    user.iter().zip(row).fold(0.0, |sum: f32, (a, b)| a.mul_add(*b, sum))
                };
                let scores: Vec<f32> = vectors.iter().map(score).collect();
                let rank = |target: &u32| {
                    let least = scores[*target as usize - 1];
                    scores.iter().filter(|score| **score >= least).count() as u64
                };
                let expected: Vec<u64> = targets.iter().map(rank).collect();
                assert_eq!(found, expected, "{items} {users} {dim} {unit}");
            }
        }
    }
    let none = Tensor::full([1, 3], f64::NAN, (Kind::Float, Device::Cpu)).to_device(gpu());
    let catalogue = Catalogue::new(tensor(&[vec![1.0; 3]], 3), ComputePath::TensorOps);
    let error = ranks(&none, &catalogue, &[Query::new(&[], vec![1])], Seen::Keep).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
}
