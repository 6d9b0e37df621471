//! Targets that are drawn from further ahead than the next item.

use super::*;

/// A user's items are the whole numbers in order: an item says where it stands.
fn sequences() -> Sequences {
    sequences_of([40, 3, 21].into_iter(), |user, at| 100 * user + at)
}

fn draw(sequences: &Sequences, samples: Kind, ahead: f64, step: u64) -> Batch {
    let negatives = vec![source(Origin::Uniform, 4, Per::Batch)];
    let order = Order::Random;
    let sampling = SamplingConfig {
        samples,
        ahead,
        batch: 3,
        order,
        first_position: 2,
        negatives,
        ..Default::default()
    };
    let assembly = assembly(true, Reject::Label);
    HostDrawer::new(&config(sampling, 30), sequences, vec![0, 1, 2], 240, assembly)
        .unwrap()
        .draw(step)
}

/// (item before, target, items of the user) of each query.
fn pairs(batch: &Batch) -> Vec<(i64, i64, i64)> {
    let (histories, targets) = (histories(batch), ids(batch, &batch.targets));
    let latest: Vec<i64> = match batch.queries {
        Queries::Every => histories.concat(),
        Queries::Last => histories.iter().map(|own| own[own.len() - 1]).collect(),
    };
    let of = |(latest, target): (i64, i64)| (latest, target, [40, 3, 21][(latest / 100) as usize]);
    latest.into_iter().zip(targets).map(of).collect()
}

#[test]
fn a_target_is_one_of_the_items_ahead_as_far_as_the_share_reaches_each_alike() {
    let sequences = sequences();
    for samples in [Kind::Users, Kind::Positions] {
        let mut times: HashMap<(i64, i64), u32> = HashMap::new();
        for step in 0..4000 {
            for (latest, target, length) in pairs(&draw(&sequences, samples, 0.25, step)) {
                assert_eq!(latest / 100, target / 100);
                // A quarter of the items so far, the next at least, none behind the last.
                let (before, distance) = (latest % 100, target - latest);
                let most = (before / 4).max(1).min(length - before);
                assert!((1..=most).contains(&distance), "{distance} of {most} behind {latest}");
                if before == 16 {
                    *times.entry((latest, distance)).or_default() += 1;
                }
            }
        }
        // Behind the 16th item there are 4 to choose from.
        for user in [16, 216] {
            let counts: Vec<u32> = (1..=4).map(|far| times[&(user, far)]).collect();
            let mean = counts.iter().sum::<u32>() as f64 / 4.0;
            let near = |count: &u32| (f64::from(*count) - mean).abs() < 6.0 * mean.sqrt();
            assert!(counts.iter().all(near), "{samples:?}: {counts:?}");
        }
    }
}

#[test]
fn how_far_ahead_changes_targets_alone() {
    let sequences = sequences();
    for samples in [Kind::Users, Kind::Positions] {
        for step in 0..20 {
            let [next, ahead] = [0.0, 0.5].map(|ahead| draw(&sequences, samples, ahead, step));
            assert!(pairs(&next).iter().all(|(latest, target, _)| *target == latest + 1));
            assert_eq!(histories(&next), histories(&ahead));
            assert_eq!(ids(&next, &next.shared), ids(&ahead, &ahead.shared));
        }
    }
}
