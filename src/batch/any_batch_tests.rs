//! What a batch holds: of any sequences, by any sampling, at any step.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const ITEMS: u32 = 12;

fn any_sequences() -> impl Strategy<Value = Sequences> {
    vec(vec(1..=ITEMS, 0..12), 1..8).prop_map(|all| {
        let mut sequences = Sequences { items: all.concat(), offsets: vec![0] };
        for own in all {
            sequences.offsets.push(sequences.offsets[sequences.offsets.len() - 1] + own.len());
        }
        sequences
    })
}

fn any_source() -> impl Strategy<Value = NegativeSource> {
    let power = select(vec![-1.0, 0.0, 0.5, 1.0]);
    let from = (0..3, power).prop_map(|(kind, power)| match kind {
        0 => Origin::Uniform,
        1 => Origin::Popularity { power },
        _ => Origin::InBatch,
    });
    let per = select(vec![Per::Batch, Per::Session, Per::Event]);
    (from, 1usize..5, per).prop_map(|(from, count, per)| {
        // A batch cannot share what is of others.
        let own = if from == Origin::InBatch && per == Per::Batch { Per::Event } else { per };
        source(from, count, own)
    })
}

fn any_sampling() -> impl Strategy<Value = SamplingConfig> {
    let kinds = (
        select(vec![Kind::Users, Kind::Positions]),
        select(vec![Order::Random, Order::Shuffled, Order::Given]),
        select(vec![Reject::None, Reject::Label, Reject::Session]),
    );
    let numbers = (1usize..5, 1usize..4, select(vec![0.0, 0.5]));
    (kinds, numbers, vec(any_source(), 1..4)).prop_map(|(kinds, numbers, negatives)| {
        let ((samples, order, reject), (batch, first_position, ahead)) = (kinds, numbers);
        SamplingConfig { samples, batch, order, first_position, ahead, negatives, reject, top_k: 0 }
    })
}

/// Whether some sequence has this history, the latest `most` items before a place, and these targets
/// behind it.
fn is_of(
    sequences: &Sequences,
    sampling: &SamplingConfig,
    most: usize,
    (history, targets): (&[i64], &[i64]),
) -> bool {
    let reach = |next: usize| ((sampling.ahead * next as f64) as usize).max(1);
    (0..sequences.len()).any(|member| {
        let whole: Vec<i64> = sequences.get(member).iter().copied().map(i64::from).collect();
        let ends = match sampling.samples {
            Kind::Users => sampling.first_position..whole.len(),
            Kind::Positions => whole.len().saturating_sub(1).max(1)..whole.len(),
        };
        let mut ends = ends;
        ends.any(|end| {
            let start = end.saturating_sub(most);
            let first = if sampling.samples == Kind::Users { end } else { start + 1 };
            let ahead = |(next, target): (usize, &i64)| {
                whole[next..].iter().take(reach(next)).any(|item| item == target)
            };
            whole[start..end] == *history
                && targets.len() == end + 1 - first
                && (first..=end).zip(targets).all(ahead)
        })
    })
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

/// (query, place in `shared`) of shared candidates that are the query's target, by looking.
fn hits_by_looking(batch: &Batch) -> Vec<(u32, u32)> {
    let (targets, shared) = (ids(batch, &batch.targets), ids(batch, &batch.shared));
    let mut hits = vec![];
    for (query, target) in targets.iter().enumerate() {
        let own = shared.iter().enumerate().filter(|(_, id)| *id == target);
        hits.extend(own.map(|(place, _)| (query as u32, place as u32)));
    }
    hits
}

/// All that a batch says.
fn content(batch: &Batch) -> Vec<Vec<i64>> {
    let tensors = [&batch.targets, &batch.shared, &batch.of_history, &batch.of_query];
    let mut all: Vec<Vec<i64>> = tensors.iter().map(|slots| ids(batch, slots)).collect();
    all.extend([&batch.inputs, &batch.history, &batch.scored, &batch.own].map(list));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_batch_holds_what_its_sequences_and_sources_give(
        sequences in any_sequences(),
        sampling in any_sampling(),
        most in 1usize..6,
        steps in vec(0u64..200, 1..4),
    ) {
        let first = if sampling.samples == Kind::Users { sampling.first_position } else { 1 };
        let all: Vec<usize> = (0..sequences.len()).collect();
        let long = all.iter().copied().filter(|member| sequences.get(*member).len() > first);
        let long: Vec<usize> = long.collect();
        let wanted = if sampling.order == Order::Random { sampling.batch } else { 1 };
        let assembly = assembly(true, sampling.reject);
        let config = config(sampling.clone(), most);
        let new = || HostDrawer::new(&config, &sequences, all.clone(), ITEMS as usize, assembly);
        if long.len() < wanted {
            prop_assert!(new().is_err());
            return Ok(());
        }
        let drawer = new().unwrap();
        for step in steps {
            let batch = drawer.draw(step);
            prop_assert_eq!(content(&batch), content(&new().unwrap().draw(step)));

            let histories = histories(&batch);
            let (targets, of) = (ids(&batch, &batch.targets), list(&batch.history));
            prop_assert!((1..=sampling.batch).contains(&histories.len()));
            for (at, history) in histories.iter().enumerate() {
                let asked = targets.iter().zip(&of).filter(|(_, of)| **of == at as i64);
                let asked: Vec<i64> = asked.map(|(target, _)| *target).collect();
                let found = is_of(&sequences, &sampling, most, (history, &asked));
                prop_assert!(found, "{:?} {:?}", history, asked);
            }

            // What is clicked in the batch, history by history; of users it is what they are asked for.
            let clicks: Vec<Vec<i64>> = match batch.queries {
                Queries::Every => histories.clone(),
                Queries::Last => targets.iter().map(|target| vec![*target]).collect(),
            };
            let met = sequences.occurrences(&all, ITEMS as usize);
            let can_come = |from: Origin, history: usize, id: i64| match from {
                Origin::Uniform => (1..=i64::from(ITEMS)).contains(&id),
                Origin::InBatch if clicks.len() > 1 => {
                    (0..clicks.len()).any(|other| other != history && clicks[other].contains(&id))
                }
                Origin::Popularity { .. } | Origin::InBatch => met[id as usize - 1] > 0,
            };
            let shared = vec![0; 1];
            let each: Vec<i64> = (0..histories.len() as i64).collect();
            for (per, slots, owners) in [
                (Per::Batch, &batch.shared, &shared),
                (Per::Session, &batch.of_history, &each),
                (Per::Event, &batch.of_query, &of),
            ] {
                let sources = sampling.negatives.iter().filter(|source| source.per == per);
                let froms: Vec<Origin> =
                    sources.flat_map(|source| vec![source.from; source.count]).collect();
                let drawn = ids(&batch, slots);
                prop_assert_eq!(drawn.len(), froms.len() * owners.len());
                for (owner, row) in owners.iter().zip(drawn.chunks(froms.len().max(1))) {
                    for (from, id) in froms.iter().zip(row) {
                        let good = can_come(*from, *owner as usize, *id);
                        prop_assert!(good, "{} from {:?} for {}", id, from, owner);
                    }
                }
            }

            // What is rejected, and nothing else.
            if sampling.reject == Reject::Session {
                prop_assert_eq!(list(&batch.own), own_by_looking(&batch));
            }
            if (sampling.reject, sampling.samples) == (Reject::Label, Kind::Users) {
                prop_assert_eq!(&batch.hits, &hits_by_looking(&batch));
            }
        }
    }

    #[test]
    fn a_batch_cut_on_the_device_holds_histories_of_its_users(
        sequences in any_sequences(),
        (batch, first_position, most) in (1usize..5, 1usize..4, 1usize..6),
        step in any::<u64>(),
    ) {
        let negatives = vec![source(Origin::Uniform, 7, Per::Batch)];
        let order = Order::Random;
        let sampling =
            SamplingConfig { batch, first_position, negatives, order, ..Default::default() };
        let config = config(sampling.clone(), most);
        let assembly = Assembly { host: false, ..assembly(true, Reject::Label) };
        let users: Vec<usize> = (0..sequences.len()).collect();
        prop_assert!(DeviceDrawer::can(&config));
        let drawer = DeviceDrawer::new(&config, &sequences, users.clone(), ITEMS as usize, assembly);
        let long = users.iter().filter(|user| sequences.get(**user).len() > first_position).count();
        if long < batch {
            prop_assert!(drawer.is_err());
            return Ok(());
        }
        let drawn = drawer.unwrap().draw(step);
        let targets = ids(&drawn, &drawn.targets);
        prop_assert_eq!(targets.len(), batch);
        for (history, target) in histories(&drawn).iter().zip(&targets) {
            prop_assert!(is_of(&sequences, &sampling, most, (history, &[*target])));
        }
        let shared = ids(&drawn, &drawn.shared);
        prop_assert!(shared.len() == 7 && shared.iter().all(|id| (1..=12).contains(id)));
    }
}
