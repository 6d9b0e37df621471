//! Ranks of positions against brute force in small whole numbers.

use super::*;
use crate::config::{Metric, Seen};
use crate::eval::value_of;
use crate::random::{Purpose, stream};
use rand::RngExt;
use std::cell::RefCell;
use tch::{Device, Kind};

/// A position's vector is a function of the items so far: small whole numbers, so that scores
/// are exact and ties frequent.
struct Fake {
    items: Vec<[i32; 3]>,
    kind: Kind,
    calls: RefCell<Vec<Vec<usize>>>,
}

impl Fake {
    fn vector(&self, history: &[u32]) -> [i32; 3] {
        let latest = self.items[history[history.len() - 1] as usize - 1];
        [latest[1], latest[2] - history.len() as i32 % 2, latest[0]]
    }

    fn score(&self, history: &[u32], item: usize) -> i32 {
        self.vector(history).iter().zip(self.items[item]).map(|(a, b)| a * b).sum()
    }

    fn tensor(&self, rows: &[[i32; 3]]) -> Tensor {
        let flat: Vec<f32> = rows.concat().iter().map(|&x| x as f32).collect();
        Tensor::from_slice(&flat).view([rows.len() as i64, 3]).to_kind(self.kind)
    }
}

impl PositionVectors for Fake {
    fn positions(&self, _: &[usize], sessions: &[&[u32]]) -> Tensor {
        self.calls.borrow_mut().push(sessions.iter().map(|session| session.len()).collect());
        let prefixes = sessions
            .iter()
            .flat_map(|session| (1..session.len()).map(|length| self.vector(&session[..length])));
        self.tensor(&prefixes.collect::<Vec<_>>())
    }

    fn items(&self, path: ComputePath) -> Catalogue {
        Catalogue::new(self.tensor(&self.items), path)
    }
}

fn sequences(sessions: &[Vec<u32>]) -> Sequences {
    let mut offsets = vec![0];
    for session in sessions {
        offsets.push(offsets[offsets.len() - 1] + session.len());
    }
    Sequences { items: sessions.concat(), offsets }
}

fn config(seen: Seen) -> EvaluationConfig {
    EvaluationConfig { protocol: Protocol::Positions, at: vec![1, 3, 20], seen }
}

/// Each position's rank by definition.
fn brute(fake: &Fake, session: &[u32], history: usize, seen: Seen) -> Vec<u64> {
    let start = session.len().saturating_sub(history + 1);
    let rank = |at: usize| {
        let target = session[at] as usize - 1;
        let own = fake.score(&session[start..at], target);
        let beats = |item: &usize| {
            let hidden = seen == Seen::Exclude && session[..at].contains(&(*item as u32 + 1));
            *item == target || (!hidden && fake.score(&session[start..at], *item) >= own)
        };
        (0..fake.items.len()).filter(beats).count() as u64
    };
    let asked = |at: &usize| seen == Seen::Keep || !session[..*at].contains(&session[*at]);
    (start + 1..session.len()).filter(asked).map(rank).collect()
}

#[test]
fn every_position_s_rank_is_that_of_brute_force() {
    let mut rng = stream(3, Purpose::Batch, 0);
    let items: Vec<[i32; 3]> =
        (0..60).map(|_| std::array::from_fn(|_| rng.random_range(-2..=2))).collect();
    let sessions: Vec<Vec<u32>> = (0..700)
        .map(|_| (0..rng.random_range(1..60)).map(|_| rng.random_range(1..=60)).collect())
        .collect();
    let all = sequences(&sessions);
    // Not all, and not in the order of length.
    let users: Vec<usize> = (0..sessions.len()).filter(|user| user % 3 != 1).collect();
    for (kind, seen, history) in [
        (Kind::Float, Seen::Keep, 50),
        (Kind::Double, Seen::Keep, 50),
        (Kind::Float, Seen::Exclude, 1),
    ] {
        let fake = Fake { items: items.clone(), kind, calls: RefCell::default() };
        let evaluation = PositionEvaluation {
            sequences: &all,
            users: users.clone(),
            windows: None,
            config: &config(seen),
            history,
            // float32 is counted in loops, float64 by tensor ops as on a GPU.
            path: match kind {
                Kind::Double => ComputePath::TensorOps,
                _ => ComputePath::HostLoops,
            },
        };
        let mut done = 0;
        let mut add = |more| {
            done += more;
            Ok(())
        };
        let metrics = evaluation.run(&fake, &mut add).unwrap();
        assert_eq!(done, users.len() as u64);
        let expected: Vec<Vec<u64>> =
            users.iter().map(|&user| brute(&fake, &sessions[user], history, seen)).collect();
        assert_eq!(metrics.targets(), expected.concat().len());
        let (ranks, targets) = metrics.ranks();
        assert_eq!(ranks, expected);
        let cut = |user: &usize| {
            let session = &sessions[*user];
            let from = session.len().saturating_sub(history + 1) + 1;
            let asked = |at: &usize| seen == Seen::Keep || !session[..*at].contains(&session[*at]);
            (from..session.len()).filter(asked).map(|at| session[at]).collect::<Vec<_>>()
        };
        assert_eq!(targets, users.iter().map(cut).collect::<Vec<_>>());
        // Bounded, by rising length, and little padding.
        let calls = fake.calls.borrow();
        assert!(calls.len() > 1 || history == 1);
        assert!(calls.concat().is_sorted());
        for call in calls.iter() {
            assert!(call.len() * (call[call.len() - 1] - 1) <= POSITIONS);
        }
    }
}

#[test]
fn of_a_window_only_its_positions_are_asked_for() {
    let mut rng = stream(4, Purpose::Batch, 0);
    let items: Vec<[i32; 3]> =
        (0..60).map(|_| std::array::from_fn(|_| rng.random_range(-2..=2))).collect();
    let sessions: Vec<Vec<u32>> = (0..300)
        .map(|_| (0..rng.random_range(2..40)).map(|_| rng.random_range(1..=60)).collect())
        .collect();
    let windows: Vec<Range<usize>> = sessions
        .iter()
        .map(|session| {
            let start = rng.random_range(1..session.len());
            start..rng.random_range(start..session.len()) + 1
        })
        .collect();
    let (all, history) = (sequences(&sessions), 12);
    for seen in [Seen::Keep, Seen::Exclude] {
        let fake = Fake { items: items.clone(), kind: Kind::Float, calls: RefCell::default() };
        let evaluation = PositionEvaluation {
            sequences: &all,
            users: (0..sessions.len()).collect(),
            windows: Some(windows.clone()),
            config: &config(seen),
            history,
            path: ComputePath::HostLoops,
        };
        let (ranks, targets) = evaluation.run(&fake, &mut |_| Ok(())).unwrap().ranks();
        for (at, (session, window)) in sessions.iter().zip(&windows).enumerate() {
            // Brute force knows a session only up to the window's end, and gives all of its ranks.
            let known = &session[..window.end];
            let is_asked =
                |at: &usize| seen == Seen::Keep || !session[..*at].contains(&session[*at]);
            let first = known.len().saturating_sub(history).max(1);
            let asked: Vec<usize> = (first..known.len()).filter(is_asked).collect();
            let brute = brute(&fake, known, history, seen);
            let within = asked.iter().zip(brute).filter(|(at, _)| window.contains(at));
            let (places, expected): (Vec<usize>, Vec<u64>) = within.unzip();
            assert_eq!(ranks[at], expected, "{seen:?}");
            assert_eq!(targets[at], places.iter().map(|&at| session[at]).collect::<Vec<_>>());
        }
    }
}

#[test]
fn hand_computed_sessions() {
    // Whatever came before, item 1 scores 3, item 2 scores 2, items 3 and 4 score 1.
    struct Constant;
    impl PositionVectors for Constant {
        fn positions(&self, _: &[usize], sessions: &[&[u32]]) -> Tensor {
            let events: usize = sessions.iter().map(|session| session.len() - 1).sum();
            Tensor::ones([events as i64, 1], (Kind::Float, Device::Cpu))
        }
        fn items(&self, path: ComputePath) -> Catalogue {
            Catalogue::new(Tensor::from_slice(&[3f32, 2.0, 1.0, 1.0]).view([4, 1]), path)
        }
    }
    let sessions = sequences(&[vec![4, 1, 2], vec![3], vec![1, 1, 2, 3], vec![2, 4]]);
    let evaluation = PositionEvaluation {
        sequences: &sessions,
        users: vec![0, 1, 2, 3],
        windows: None,
        config: &config(Seen::Keep),
        history: 2,
        path: ComputePath::HostLoops,
    };
    let metrics = evaluation.run(&Constant, &mut |_| Ok(())).unwrap();
    // Ranks 1 2; none; (1, cut off) 2 4, for a tie counts against the target; 4.
    let means = metrics.means();
    let value = |name: &str| value_of(&means, name.parse::<Metric>().unwrap()).unwrap();
    assert!((value("recall@1") - 1.0 / 5.0).abs() < 1e-12);
    assert!((value("recall@3") - 3.0 / 5.0).abs() < 1e-12);
    assert!((value("mrr@3") - 2.0 / 5.0).abs() < 1e-12);
    assert!((value("mrr@20") - (2.0 + 0.25 + 0.25) / 5.0).abs() < 1e-12);
    assert!((value("last-recall@3") - 1.0 / 3.0).abs() < 1e-12);
    assert!((value("last-mrr@20") - (0.5 + 0.25 + 0.25) / 3.0).abs() < 1e-12);
    let (ranks, targets) = metrics.ranks();
    assert_eq!(ranks, [vec![1, 2], vec![], vec![2, 4], vec![4]]);
    assert_eq!(targets, [vec![1, 2], vec![], vec![2, 3], vec![4]]);
}

#[test]
fn what_cannot_be_ranked_is_an_error() {
    let fake = |x| Fake { items: vec![[x; 3]; 5], kind: Kind::Float, calls: RefCell::default() };
    let run = |users: Vec<usize>, model: &dyn PositionVectors| {
        let sequences = sequences(&[vec![1, 2], vec![3]]);
        let config = config(Seen::Keep);
        let evaluation = PositionEvaluation {
            sequences: &sequences,
            users,
            windows: None,
            config: &config,
            history: 5,
            path: ComputePath::HostLoops,
        };
        evaluation.run(model, &mut |_| Ok(())).map(|_| ()).unwrap_err().to_string()
    };
    assert!(run(vec![1], &fake(1)).contains("no session of two items"));
    struct Broken(f64);
    impl PositionVectors for Broken {
        fn positions(&self, _: &[usize], _: &[&[u32]]) -> Tensor {
            Tensor::full([1, 3], f64::NAN, (Kind::Float, Device::Cpu))
        }
        fn items(&self, path: ComputePath) -> Catalogue {
            let rows = Tensor::full([5, 3], self.0, (Kind::Float, Device::Cpu));
            Catalogue::new(rows, path)
        }
    }
    assert!(run(vec![0], &Broken(1.0)).contains("NaN"));
    assert!(run(vec![0], &Broken(f64::NAN)).contains("not all numbers"));
}
