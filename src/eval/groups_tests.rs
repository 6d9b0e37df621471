//! Recall by groups against brute force, under every protocol.

use rand::RngExt;
use tch::{Device, Tensor};

use super::*;
use crate::config::{Protocol, Seen, TowerConfig};
use crate::data::distinct;
use crate::random::{Purpose, stream};

const ITEMS: u32 = 45;

/// As long as the longest sequence.
const HISTORY: usize = 70;

/// A target with its rank and how much was known of the user.
type Asked = (u64, u32, usize);

/// All that is asked of the owner of a sequence, by definition.
fn brute(model: &Model, sequence: &[u32], protocol: Protocol, seen: Seen) -> Vec<Asked> {
    let last = sequence.len() - 1;
    let questions: Vec<(usize, Vec<u32>)> = match protocol {
        Protocol::Holdout => {
            let from = sequence.len() * 4 / 5;
            vec![(from, distinct(&sequence[from..]))]
        }
        Protocol::LeaveOneOut => vec![(last, vec![sequence[last]])],
        Protocol::Positions => (1..=last).map(|at| (at, vec![sequence[at]])).collect(),
    };
    let mut all = vec![];
    for (known, targets) in questions {
        let history = &sequence[..known];
        let hidden = |item: &u32| seen == Seen::Exclude && history.contains(item);
        let ids: Vec<i64> = history.iter().map(|id| i64::from(*id)).collect();
        let user = model.users(&Tensor::from_slice(&ids).unsqueeze(0), None);
        let scores = model.item_vectors().matmul(&user.squeeze_dim(0));
        let scores = Vec::<f32>::try_from(scores).unwrap();
        let score = |item: &u32| scores[*item as usize - 1];
        for target in targets.into_iter().filter(|target| !hidden(target)) {
            let beats = |item: &u32| !hidden(item) && score(item) >= score(&target);
            all.push(((1..=ITEMS).filter(beats).count() as u64, target, known));
        }
    }
    all
}

/// The groups of all that was asked for: which one a target is of is said by `of`.
fn grouped(asked: &[Asked], names: &[String], of: impl Fn(&Asked) -> usize) -> Vec<Group> {
    let group = |(at, name): (usize, &String)| {
        let own: Vec<u64> = asked.iter().filter(|one| of(one) == at).map(|one| one.0).collect();
        let share = |n: usize| {
            let found = own.iter().filter(|rank| **rank <= n as u64).count();
            (n, found as f64 / own.len() as f64)
        };
        let recall = [1, 5, 15].into_iter().filter(|_| !own.is_empty()).map(share).collect();
        Group { name: name.clone(), targets: own.len() as u64, recall }
    };
    names.iter().enumerate().map(group).collect()
}

#[test]
fn groups_are_those_of_brute_force_under_every_protocol() {
    let mut rng = stream(7, Purpose::Generation, 0);
    let mut sequences = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..30 {
        // As many short ones as long ones.
        let longest = [8, 25, HISTORY][rng.random_range(0..3usize)];
        let length = rng.random_range(2..=longest);
        sequences.items.extend((0..length).map(|_| rng.random_range(1..=ITEMS)));
        sequences.offsets.push(sequences.items.len());
    }
    let counts: Vec<u64> = (1..=u64::from(ITEMS)).map(|id| id * 7 % 11).collect();
    // Those that are more popular, of equal ones those with a smaller id, stand before an item.
    let tenth = |item: u32| {
        let key = |id: u32| (std::cmp::Reverse(counts[id as usize - 1]), id);
        (1..=ITEMS).filter(|other| key(*other) < key(item)).count() * 10 / ITEMS as usize
    };
    let tenths: Vec<String> = (1..=10).map(|n| format!("tenth {n} of the items")).collect();
    let lengths =
        ["up to 5 items", "6 to 10 items", "11 to 20 items", "21 to 50 items", "over 50 items"];
    let lengths = lengths.map(str::to_owned);
    let length = |known: usize| match known {
        ..=5 => 0,
        6..=10 => 1,
        11..=20 => 2,
        21..=50 => 3,
        _ => 4,
    };

    let tower = TowerConfig { dim: 6, history: HISTORY, ..Default::default() };
    let model = Model::new(&tower, ITEMS as usize, 2, Device::Cpu);
    let users: Vec<usize> = (0..sequences.len()).collect();
    for protocol in Protocol::ALL {
        for seen in Seen::ALL {
            let config = EvaluationConfig { protocol, at: vec![1, 5, 15], seen };
            let (sequences, users, config) = (&sequences, users.clone(), &config);
            let (windows, history, path) = (None, HISTORY, ComputePath::HostLoops);
            let asked: Vec<Asked> = users
                .iter()
                .flat_map(|&user| brute(&model, sequences.get(user), protocol, seen))
                .collect();
            let mut go_on = |_| Ok(());
            let metrics = match protocol {
                Protocol::Positions => {
                    PositionEvaluation { sequences, users, windows, config, history, path }
                        .run(&model, &mut go_on)
                }
                _ => Evaluation { sequences, users, windows, known: None, config, history, path }
                    .run(&model, &mut go_on),
            };
            let found = metrics.unwrap().groups(&counts);
            let expected = Groups {
                popularity: grouped(&asked, &tenths, |one| tenth(one.1)),
                history: grouped(&asked, &lengths, |one| length(one.2)),
            };
            assert!(expected.history.iter().filter(|group| group.targets > 0).count() > 2);
            assert_eq!(found, expected, "{protocol:?} {seen:?}");
        }
    }
}
