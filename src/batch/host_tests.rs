//! Epochs, cuts, targets and candidates of batches drawn on the host, and of those cut on a device.

use std::collections::{HashMap, HashSet};

use tch::Kind::Float;
use tch::{Device, Tensor};

use super::super::{DeviceDrawer, Drawer};
use super::*;
use crate::config::{NegativeSource, Reject, TowerConfig};
use crate::model::Layout;

fn list(tensor: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// The ids that slots stand for.
fn ids(batch: &Batch, slots: &Tensor) -> Vec<i64> {
    list(&batch.scored.index_select(0, &slots.contiguous().view(-1)))
}

/// The items of each history, padding left out.
fn histories(batch: &Batch) -> Vec<Vec<i64>> {
    let inputs = list(&batch.inputs);
    if batch.starts.is_empty() {
        let each = inputs.len() / batch.histories() as usize;
        let items = |row: &[i64]| row.iter().copied().filter(|id| *id != 0).collect();
        return inputs.chunks(each).map(items).collect();
    }
    let starts = batch.starts.windows(2);
    starts.map(|own| inputs[own[0] as usize..own[1] as usize].to_vec()).collect()
}

fn sequences_of(lengths: impl Iterator<Item = u32>, of: impl Fn(u32, u32) -> u32) -> Sequences {
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for (user, length) in lengths.enumerate() {
        all.items.extend((1..=length).map(|at| of(user as u32, at)));
        all.offsets.push(all.items.len());
    }
    all
}

fn source(from: Origin, count: usize, per: Per) -> NegativeSource {
    NegativeSource { from, count, per }
}

fn assembly(tied: bool, reject: Reject) -> Assembly {
    Assembly { device: Device::Cpu, chunks: 16, host: true, tied, reject, repeats: false }
}

fn config(sampling: SamplingConfig, history: usize) -> Config {
    let text = "data.path = \"\"";
    let config = toml::from_str::<crate::config::Settings>(text).unwrap().checked().unwrap();
    Config { sampling, tower: TowerConfig { history, ..config.tower.clone() }, ..config }
}

#[path = "ahead_tests.rs"]
mod ahead;

mod users {
    use super::*;

    /// Users 0 to 9: user `u` has the items 100u+1, 100u+2, ... of length u + 3.
    fn sequences() -> Sequences {
        sequences_of((0..10).map(|user| user + 3), |user, at| 100 * user + at)
    }

    fn sampling(batch: usize, order: Order) -> SamplingConfig {
        let negatives = vec![source(Origin::Uniform, 10, Per::Batch)];
        SamplingConfig { batch, negatives, order, ..Default::default() }
    }

    fn drawer(sequences: &Sequences, batch: usize, order: Order) -> Result<HostDrawer<'_>> {
        let config = config(sampling(batch, order), 3);
        let assembly = assembly(true, Reject::Label);
        HostDrawer::new(&config, sequences, (0..10).collect(), 5, assembly)
    }

    #[test]
    fn targets_are_uniform_over_allowed_positions_and_follow_their_history() {
        let sequences = sequences();
        let drawer = drawer(&sequences, 4, Order::Random).unwrap();
        check_targets(|step| drawer.draw(step));
    }

    /// Histories as long as the encoder reads, and shorter ones, which are padded at the end.
    #[test]
    fn batches_cut_by_tensor_ops_are_those_of_the_host() {
        let sequences = sequences();
        let users = || (0..10).collect::<Vec<usize>>();
        for (order, history, tied) in
            [(Order::Random, 3, true), (Order::Shuffled, 30, true), (Order::Given, 6, false)]
        {
            let config = config(sampling(3, order), history);
            assert!(DeviceDrawer::can(&config));
            let assembly = Assembly { host: false, ..assembly(tied, Reject::Label) };
            let host = HostDrawer::new(&config, &sequences, users(), 5, assembly).unwrap();
            let device = DeviceDrawer::new(&config, &sequences, users(), 5, assembly).unwrap();
            assert_eq!(device.per_epoch(), host.per_epoch());
            // The last of an epoch is smaller.
            for step in 0..2 * host.per_epoch() {
                let (cut, put) = (device.draw(step), host.draw(step));
                assert_eq!(histories(&cut), histories(&put));
                assert_eq!(list(&cut.inputs).len(), put.histories() as usize * history);
                for slots in [
                    |batch: &Batch| ids(batch, &batch.targets),
                    |batch: &Batch| ids(batch, &batch.shared),
                ] {
                    assert_eq!(slots(&cut), slots(&put), "{order:?}");
                }
                assert_eq!(list(&cut.history), list(&put.history));
                let read: Vec<i64> = cut.rows.iter().flat_map(|rows| list(rows.ids())).collect();
                assert_eq!(read, [list(&cut.inputs), list(&cut.scored)].concat());
                // Where items stand, and the last of each.
                let layout = cut.chunks[0].layout();
                let lengths = histories(&cut).into_iter().map(|own| own.len() as i64);
                let last: Vec<i64> = lengths
                    .zip(0..)
                    .map(|(length, row)| row * history as i64 + length - 1)
                    .collect();
                assert_eq!(list(layout.last()), last);
                let padded = Layout::padded(&cut.inputs.view([-1, history as i64]));
                assert_eq!(list(layout.from_end()), list(padded.from_end()));
                let ones = Tensor::ones([cut.inputs.size()[0], 1], (Float, Device::Cpu));
                let means = |layout: &Layout| layout.means(&(&ones + cut.inputs.unsqueeze(1)));
                assert_eq!(means(layout), means(&padded));
            }
        }
    }

    fn check_targets(draw: impl Fn(u64) -> Batch) {
        let mut seen: HashMap<i64, u32> = HashMap::new();
        for step in 0..2000 {
            let batch = draw(step);
            let targets = ids(&batch, &batch.targets);
            let users: HashSet<_> = targets.iter().map(|t| t / 100).collect();
            assert_eq!(users.len(), 4, "users of a batch are distinct");
            assert_eq!(list(&batch.history), [0, 1, 2, 3]);
            for (history, target) in histories(&batch).iter().zip(&targets) {
                *seen.entry(*target).or_default() += 1;
                assert_eq!(history[..], [target - 3, target - 2, target - 1]);
            }
        }
        // Users 2 to 9 have 1 to 8 target positions, from the fifth item on, 1000 draws a user.
        assert_eq!(seen.len(), (1..=8).sum::<usize>());
        for user in 2..10i64 {
            let draws: u32 = (5..=user + 3).map(|i| seen[&(100 * user + i)]).sum();
            assert!((850..1150).contains(&draws), "user {user}: {draws}");
        }
        let last: Vec<u32> = (5..=12).map(|i| seen[&(900 + i)]).collect();
        assert!(last.iter().all(|n| (80..170).contains(n)), "{last:?}");
    }

    #[test]
    fn a_batch_is_a_function_of_its_step_also_when_it_is_drawn_ahead() {
        let sequences = sequences();
        let (a, b) = [(); 2].map(|()| drawer(&sequences, 4, Order::Random).unwrap()).into();
        b.draw(1);
        let targets = |batch: Batch| ids(&batch, &batch.targets);
        assert_eq!(targets(a.draw(9)), targets(b.draw(9)));
        assert_ne!(targets(a.draw(9)), targets(a.draw(10)));
        let ahead = Drawer::Host(b).run(3..40, |next| {
            // Not all that are drawn are taken.
            (3..20).map(|_| targets(next())).collect::<Vec<_>>()
        });
        for (step, drawn) in (3..20).zip(ahead) {
            assert_eq!(drawn, targets(a.draw(step)));
        }
    }

    #[test]
    fn an_epoch_is_every_user_once_in_a_new_order() {
        let sequences = sequences();
        let drawer = drawer(&sequences, 3, Order::Shuffled).unwrap();
        // Users 2 to 9 can be drawn.
        assert_eq!(drawer.per_epoch(), 3);
        let epoch = |epoch: u64| -> Vec<Vec<i64>> {
            let user = |batch: Batch| {
                let mut users: Vec<i64> =
                    ids(&batch, &batch.targets).iter().map(|target| target / 100).collect();
                users.sort_unstable();
                users
            };
            (3 * epoch..3 * epoch + 3).map(|step| user(drawer.draw(step))).collect()
        };
        for own in [epoch(0), epoch(1)] {
            let all: HashSet<i64> = own.concat().into_iter().collect();
            assert_eq!((all, own.concat().len()), ((2..10).collect(), 8));
        }
        assert_ne!(epoch(0), epoch(1));
        assert_eq!(drawer_len(&sequences), 2);
    }

    /// Batches that random draws take for as many users as there are.
    fn drawer_len(sequences: &Sequences) -> u64 {
        drawer(sequences, 4, Order::Random).unwrap().per_epoch()
    }

    #[test]
    fn a_batch_larger_than_the_users_is_refused_unless_it_is_a_pass() {
        let sequences = sequences();
        let error = drawer(&sequences, 9, Order::Random).err().unwrap().to_string();
        assert!(error.contains("sampling.batch = 9") && error.contains("only 8"), "{error}");
        assert_eq!(drawer(&sequences, 9, Order::Given).unwrap().draw(0).histories(), 8);
    }

    #[test]
    fn in_batch_candidates_are_targets_of_others_and_expected_as_often_as_they_come() {
        let sequences = sequences();
        let negatives = vec![source(Origin::InBatch, 6, Per::Session)];
        let sampling = SamplingConfig { negatives, ..sampling(4, Order::Random) };
        let assembly = assembly(true, Reject::None);
        let users = (0..10).collect();
        let drawer =
            HostDrawer::new(&config(sampling, 3), &sequences, users, 999, assembly).unwrap();
        let mut seen: HashMap<i64, f64> = HashMap::new();
        for step in 0..4000 {
            let batch = drawer.draw(step);
            let targets = ids(&batch, &batch.targets);
            for (own, drawn) in ids(&batch, &batch.of_history).chunks(6).enumerate() {
                let other = |id: &i64| targets.contains(id) && *id != targets[own];
                assert!(drawn.iter().all(other), "{drawn:?} of {targets:?}");
                drawn.iter().for_each(|id| *seen.entry(*id).or_default() += 1.0 / 16_000.0);
            }
        }
        let expected = drawer.log_counts();
        for (item, log_count) in expected.iter().enumerate() {
            let seen = seen.get(&(item as i64)).copied().unwrap_or_default();
            assert!((seen - f64::from(log_count.exp())).abs() < 0.05, "item {item}: {seen}");
        }
    }

    #[test]
    fn accidental_hits_are_known_and_every_id_stands_in_the_list_of_rows() {
        let candidates = Candidates { shared: vec![4, 9, 5, 4], ..Default::default() };
        let samples = Samples {
            items: vec![1, 2, 3],
            starts: vec![0, 2, 3],
            queries: Queries::Last,
            targets: vec![4, 5],
        };
        let batch = Batch::new(samples, candidates, assembly(true, Reject::Label));
        assert_eq!(batch.hits, [(0, 0), (0, 3), (1, 2)]);
        assert_eq!(list(batch.rows[0].ids()), [1, 2, 3, 4, 5, 4, 9, 5, 4]);
        assert_eq!(list(&batch.scored), [4, 5, 9]);
        assert_eq!(list(&batch.shared), [0, 2, 1, 0]);
        assert_eq!(list(&batch.own), [0i64; 0]);
    }
}

/// Own items of each history as far as they are scored, by looking.
fn own_by_looking(batch: &Batch) -> Vec<i64> {
    let scored = list(&batch.scored);
    let (targets, of) = (ids(batch, &batch.targets), list(&batch.history));
    let mut pairs = vec![];
    for (history, items) in histories(batch).iter().enumerate() {
        let asked = targets.iter().zip(&of).filter(|(_, of)| **of == history as i64);
        let own: HashSet<i64> =
            items.iter().chain(asked.map(|(target, _)| target)).copied().collect();
        let slots = scored.iter().enumerate().filter(|(_, id)| own.contains(id));
        pairs.extend(slots.flat_map(|(slot, _)| [history as i64, slot as i64]));
    }
    pairs
}

#[test]
fn own_items_are_those_of_the_history_and_its_targets() {
    let sequences =
        sequences_of((0..10).map(|user| user + 3), |user, at| (7 * user + 3 * at) % 30 + 1);
    for samples in [Kind::Users, Kind::Positions] {
        let sampling = SamplingConfig {
            samples,
            batch: 4,
            reject: Reject::Session,
            negatives: vec![
                source(Origin::Uniform, 20, Per::Batch),
                source(Origin::InBatch, 5, Per::Session),
            ],
            ..Default::default()
        };
        let assembly = assembly(true, Reject::Session);
        let drawer =
            HostDrawer::new(&config(sampling, 3), &sequences, (0..10).collect(), 30, assembly);
        for step in 0..20 {
            let batch = drawer.as_ref().unwrap().draw(step);
            assert!(batch.own.size()[0] > 4, "{samples:?}");
            assert_eq!(list(&batch.own), own_by_looking(&batch), "{samples:?}");
        }
    }
}

mod sessions {
    use super::*;

    /// Session `s` has the items 10s+1, 10s+2, … and s + 1 of them.
    fn sequences() -> Sequences {
        sequences_of(1..10, |session, at| 10 * session + at)
    }

    fn drawer(sequences: &Sequences, order: Order) -> HostDrawer<'_> {
        let sampling = SamplingConfig {
            samples: Kind::Positions,
            batch: 3,
            order,
            reject: Reject::Session,
            negatives: vec![
                source(Origin::Uniform, 7, Per::Batch),
                source(Origin::InBatch, 5, Per::Session),
                source(Origin::Uniform, 2, Per::Event),
            ],
            ..Default::default()
        };
        let assembly = assembly(true, Reject::Session);
        HostDrawer::new(&config(sampling, 4), sequences, (0..9).collect(), 99, assembly).unwrap()
    }

    #[test]
    fn an_epoch_is_every_session_once_and_its_last_batch_what_is_left() {
        let sequences = sequences();
        for order in [Order::Given, Order::Shuffled] {
            let drawer = drawer(&sequences, order);
            // Session 0 has one item: nothing to learn.
            assert_eq!(drawer.per_epoch(), 3);
            let mut orders = vec![];
            for epoch in 0..2 {
                let mut seen = vec![];
                for step in 3 * epoch..3 * epoch + 3 {
                    let batch = drawer.draw(step);
                    let inputs = list(&batch.inputs);
                    let sessions = list(&batch.history);
                    let targets = ids(&batch, &batch.targets);
                    assert_eq!(batch.histories(), if step % 3 == 2 { 2 } else { 3 });
                    for ((input, target), pair) in
                        inputs.iter().zip(&targets).zip(sessions.windows(2))
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
    fn candidates_are_of_the_batch_the_session_or_the_position() {
        let sequences = sequences();
        let batch = drawer(&sequences, Order::Given).draw(1);
        let positions = batch.query_count();
        assert_eq!((batch.shared.size(), batch.candidates()), (vec![7], 14));
        assert_eq!(batch.of_history.size(), [3, 5]);
        assert_eq!(batch.of_query.size(), [positions, 2]);
        // Sessions 4, 5 and 6: in-batch candidates are clicks of the two others.
        for (at, drawn) in ids(&batch, &batch.of_history).chunks(5).enumerate() {
            let own = at as i64 + 4;
            assert!(drawn.iter().all(|item| (4..7).contains(&(item / 10)) && item / 10 != own));
        }
        let scored = list(&batch.scored);
        assert!(scored.is_sorted() && scored.iter().all(|id| (1..=99).contains(id)));
        let again = drawer(&sequences, Order::Given);
        again.draw(2);
        assert_eq!(list(&again.draw(1).scored), scored, "a batch is a function of its step");
    }

    #[test]
    fn a_session_s_own_items_are_known_wherever_they_are_scored() {
        let sequences = sequences();
        let batch = drawer(&sequences, Order::Given).draw(2);
        let own = batch.own_items();
        let scored = list(&batch.scored);
        // Sessions 7 and 8, cut to the latest 5 items, the first of which is only read.
        for (row, session) in [(0, 7i64), (1, 8)] {
            for (slot, id) in scored.iter().enumerate() {
                let within =
                    id / 10 == session && id % 10 > session + 1 - 5 && id % 10 <= session + 1;
                assert_eq!(own.int64_value(&[row, slot as i64]) == 1, within, "{session}: {id}");
            }
        }
    }

    #[test]
    fn chunks_are_the_batch_in_order_and_about_equal() {
        let all = sequences_of((0..200).map(|session| 2 + session * 7 % 9), |session, at| {
            (session + at) % 99 + 1
        });
        let sampling = SamplingConfig {
            samples: Kind::Positions,
            batch: 150,
            order: Order::Shuffled,
            negatives: vec![source(Origin::Uniform, 5, Per::Batch)],
            ..Default::default()
        };
        let assembly = assembly(false, Reject::Session);
        let drawer =
            HostDrawer::new(&config(sampling, 20), &all, (0..200).collect(), 99, assembly).unwrap();
        let batch = drawer.draw(0);
        let mut from = 0;
        for chunk in &batch.chunks {
            assert_eq!((chunk.from, chunk.first_query), (from, from));
            assert_eq!(chunk.layout().from_end().size(), [chunk.count]);
            let share = batch.query_count() / batch.chunks.len() as i64;
            assert!((chunk.count - share).abs() < 12);
            from += chunk.count;
        }
        assert_eq!(from, batch.query_count());
        assert_eq!(batch.chunks.len(), 8, "{from} positions");
    }
}
