//! Evaluation of session models: every item of a session but its first, each from those before it.

use std::ops::Range;

use anyhow::{Result, ensure};
use tch::Tensor;

use super::catalogue::Catalogue;
use super::metrics::Metrics;
use super::rank::{Query, ranks};
use crate::config::{EvaluationConfig, Protocol};
use crate::data::Sequences;
use crate::device::ComputePath;
use crate::model::{Layout, Model, Queries};

/// Positions that are worked through at once, padding included: what the activations of a session
/// model take is bounded by this, whatever the sessions' lengths.
const POSITIONS: usize = 8192;

/// A model that predicts the next item at every position of a session.
pub trait PositionVectors {
    /// `[events, dim]`, without gradients, on the model's device: session by session, oldest first,
    /// the vector whose inner products with [`PositionVectors::items`] rank the catalogue for
    /// `session[k + 1]`, made from `session[..=k]` alone; a session has one less than it has items.
    ///
    /// The sessions have about the same length, at least two items, and at most one item more than
    /// the model reads.
    fn positions(&self, sessions: &[&[u32]]) -> Tensor;

    /// What is ranked, by `path`. Its vectors may be wider than the item table's rows: an output bias is one
    /// more column here, against a 1 in the vectors of positions.
    fn items(&self, path: ComputePath) -> Catalogue;
}

impl PositionVectors for Model {
    fn positions(&self, sessions: &[&[u32]]) -> Tensor {
        let _guard = tch::no_grad_guard();
        let device = self.device();
        let read = |session: &&[u32]| session[..session.len() - 1].to_vec();
        let ids: Vec<i64> = sessions.iter().flat_map(read).map(i64::from).collect();
        let lengths: Vec<usize> = sessions.iter().map(|session| session.len() - 1).collect();
        let rows = self.items.read().gather(&Tensor::from_slice(&ids).to_device(device));
        self.queries(&rows, &Layout::packed(&lengths, device), Queries::Every, None)
    }

    fn items(&self, path: ComputePath) -> Catalogue {
        Catalogue::of(self, path)
    }
}

/// What a session model is evaluated on: all positions of these users' sequences.
pub struct PositionEvaluation<'a> {
    pub sequences: &'a Sequences,
    pub users: Vec<usize>,
    /// `[users]`: where the items that are to be found are, each from all before it; `None`:
    /// everywhere.
    pub windows: Option<Vec<Range<usize>>>,
    pub config: &'a EvaluationConfig,
    /// The latest items that the model reads. Sessions are cut to their latest `history + 1`, as in
    /// the published evaluation: of a longer one only the latest `history` items are to be found.
    pub history: usize,
    /// How the catalogue is ranked.
    pub path: ComputePath,
}

impl PositionEvaluation<'_> {
    /// The ranks of all positions, and their metrics at every N. No session is left out; one with a
    /// single item has no position and counts for nothing. `progress` hears how many users more are
    /// done.
    ///
    /// # Errors
    /// When a score is not a number, or no session has two items; those of `progress`.
    pub fn run(
        &self,
        model: &dyn PositionVectors,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Metrics> {
        let _guard = tch::no_grad_guard();
        let items = model.items(self.path).checked()?;
        let mut order: Vec<usize> = (0..self.users.len()).collect();
        order.sort_by_key(|&at| self.session(at).len());
        let first = order.partition_point(|&at| self.session(at).len() < 2);
        ensure!(first < order.len(), "there is no session of two items or more to rank for");
        let mut all = vec![vec![]; self.users.len()];
        progress(first as u64)?;
        let mut rest = &order[first..];
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.fitting(rest));
            for (at, found) in chunk.iter().zip(self.ranks(model, &items, chunk)?) {
                all[*at] = found;
            }
            progress(chunk.len() as u64)?;
            rest = later;
        }
        let mut metrics = Metrics::new(Protocol::Positions, &self.config.at);
        for found in all {
            let (ranks, targets) = found.into_iter().unzip();
            metrics.add(ranks, targets);
        }
        metrics.not_empty()
    }

    /// Where the items to be found are in the sequence of the user at this place.
    fn window(&self, at: usize) -> Range<usize> {
        match &self.windows {
            Some(windows) => windows[at].clone(),
            None => 0..self.sequences.get(self.users[at]).len(),
        }
    }

    /// The part of a session that is evaluated: up to the end of its window.
    fn session(&self, at: usize) -> &[u32] {
        let end = self.window(at).end;
        &self.sequences.get(self.users[at])[end.saturating_sub(self.history + 1)..end]
    }

    /// How many of the sessions, from the first on and by rising length, are worked through at once.
    fn fitting(&self, sessions: &[usize]) -> usize {
        let fits = |(place, at): &(usize, &usize)| {
            (place + 1) * (self.session(**at).len() - 1) <= POSITIONS
        };
        sessions.iter().enumerate().take_while(fits).count().max(1)
    }

    /// For each session the ranks of its items that are asked for, and these, in their order.
    fn ranks(
        &self,
        model: &dyn PositionVectors,
        items: &Catalogue,
        chunk: &[usize],
    ) -> Result<Vec<Vec<(u64, u32)>>> {
        let sessions: Vec<&[u32]> = chunk.iter().map(|&at| self.session(at)).collect();
        // Of each position its query, if it is asked for, and of each session how many are.
        let (mut queries, mut asked, mut counts) = (vec![], vec![], vec![]);
        let mut positions = 0;
        for &at in chunk {
            let (whole, window) = (self.sequences.get(self.users[at]), self.window(at));
            let before = queries.len();
            for query in Query::of_positions(&whole[..window.end], self.history) {
                if query.history.len() >= window.start && query.is_asked(self.config.seen) {
                    queries.push(query);
                    asked.push(positions);
                }
                positions += 1;
            }
            counts.push(queries.len() - before);
        }
        let mut vectors = model.positions(&sessions);
        ensure!(
            vectors.size() == [positions, items.dim()],
            "the model gives vectors {:?} for {positions} positions and items of width {}",
            vectors.size(),
            items.dim()
        );
        if asked.len() < positions as usize {
            vectors =
                vectors.index_select(0, &Tensor::from_slice(&asked).to_device(vectors.device()));
        }
        let block = items.users_a_block();
        let mut flat = vec![];
        for (queries, vectors) in queries.chunks(block).zip(vectors.split(block as i64, 0)) {
            flat.extend(ranks(&vectors, items, queries, self.config.seen)?.into_iter().flatten());
        }
        let targets = queries.iter().map(|query| query.targets[0]);
        let mut flat = flat.into_iter().zip(targets);
        Ok(counts.iter().map(|&count| flat.by_ref().take(count).collect()).collect())
    }
}

#[cfg(test)]
mod tests {
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
        fn positions(&self, sessions: &[&[u32]]) -> Tensor {
            self.calls.borrow_mut().push(sessions.iter().map(|session| session.len()).collect());
            let prefixes = sessions.iter().flat_map(|session| {
                (1..session.len()).map(|length| self.vector(&session[..length]))
            });
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
            let metrics = evaluation
                .run(&fake, &mut |more| {
                    done += more;
                    Ok(())
                })
                .unwrap();
            assert_eq!(done, users.len() as u64);
            let expected: Vec<Vec<u64>> =
                users.iter().map(|&user| brute(&fake, &sessions[user], history, seen)).collect();
            assert_eq!(metrics.targets(), expected.concat().len());
            let (ranks, targets) = metrics.into_ranks();
            assert_eq!(ranks, expected);
            let cut = |user: &usize| {
                let session = &sessions[*user];
                let from = session.len().saturating_sub(history + 1) + 1;
                let asked =
                    |at: &usize| seen == Seen::Keep || !session[..*at].contains(&session[*at]);
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
        let items = (0..60).map(|_| std::array::from_fn(|_| rng.random_range(-2..=2))).collect();
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
        let fake = Fake { items, kind: Kind::Float, calls: RefCell::default() };
        let (all, history) = (sequences(&sessions), 12);
        let evaluation = PositionEvaluation {
            sequences: &all,
            users: (0..sessions.len()).collect(),
            windows: Some(windows.clone()),
            config: &config(Seen::Keep),
            history,
            path: ComputePath::HostLoops,
        };
        let (ranks, targets) = evaluation.run(&fake, &mut |_| Ok(())).unwrap().into_ranks();
        for (targets, (session, window)) in targets.iter().zip(sessions.iter().zip(&windows)) {
            assert_eq!(targets[..], session[window.end - targets.len()..window.end]);
        }
        // Brute force knows a session only up to the window's end, and gives all of its ranks.
        for ((session, window), ranks) in sessions.iter().zip(windows).zip(ranks) {
            let known = &session[..window.end];
            let expected = brute(&fake, known, history, Seen::Keep);
            let asked = window.len().min(history.min(window.end - 1));
            assert_eq!(ranks, expected[expected.len() - asked..]);
        }
    }

    #[test]
    fn hand_computed_sessions() {
        // Whatever came before, item 1 scores 3, item 2 scores 2, items 3 and 4 score 1.
        struct Constant;
        impl PositionVectors for Constant {
            fn positions(&self, sessions: &[&[u32]]) -> Tensor {
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
        let (ranks, targets) = metrics.into_ranks();
        assert_eq!(ranks, [vec![1, 2], vec![], vec![2, 4], vec![4]]);
        assert_eq!(targets, [vec![1, 2], vec![], vec![2, 3], vec![4]]);
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        let fake =
            |x| Fake { items: vec![[x; 3]; 5], kind: Kind::Float, calls: RefCell::default() };
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
            fn positions(&self, _: &[&[u32]]) -> Tensor {
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
}
