//! The rules of preparation against a slow plain form of them, on any log.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::interactions::Builder;
use super::super::split_rule::SplitBy;
use super::*;

/// User and item by number; time, and what is behind its point.
type Event = (usize, usize, (i64, u32));

/// Ids as no log should have them; behind them come plain numbers.
const STRANGE: [&str; 8] = ["", " ", "\0", "ä", "a\u{308}", "\"a,b\"", "x\ny", "𝄞"];

fn id(number: usize) -> String {
    STRANGE.get(number).map_or_else(|| number.to_string(), |id| id.to_string())
}

fn log(events: &[Event], timed: bool) -> Log {
    let mut builder = Builder::default();
    for (user, item, (time, part)) in events {
        builder.push(&id(*user), &id(*item), timed.then_some(*time)).unwrap();
        if timed {
            builder.push_part(*part);
        }
    }
    Log { interactions: builder.finish().unwrap(), files: Vec::new(), left_out: 3 }
}

/// A user's id, part (none where sequences are cut) and events (time, item).
type User = (String, Option<Split>, Vec<(i64, u32)>);

/// What a dataset is to hold: the catalogue (id, count), and its users.
#[derive(Debug, PartialEq)]
struct Expected {
    catalogue: Vec<(String, u64)>,
    users: Vec<User>,
    dropped: DroppedCounts,
}

/// The rules written down a second time, slowly; `None` where they leave nothing.
fn plain(events: &[Event], timed: bool, rules: &Rules, split: &SplitRule) -> Option<Expected> {
    let mut dropped = DroppedCounts { left_out: 3, ..DroppedCounts::default() };
    let mut events = events.to_vec();
    let of_user = |events: &[Event], user| events.iter().filter(|own| own.0 == user).count() as u64;
    let of_item = |events: &[Event], item| events.iter().filter(|own| own.1 == item).count() as u64;
    let first_seen = |all: &mut dyn Iterator<Item = usize>| {
        all.fold(vec![], |mut known, one| {
            if !known.contains(&one) {
                known.push(one);
            }
            known
        })
    };
    let mut users = first_seen(&mut events.iter().map(|event| event.0));
    let mut items = first_seen(&mut events.iter().map(|event| event.1));
    if rules.short_users_first {
        let all = events.clone();
        let short = |user: &usize| of_user(&all, *user) < rules.min_user_count;
        dropped.early_short_users = users.iter().filter(|user| short(user)).count() as u64;
        events.retain(|event| !short(&event.0));
        users.retain(|user| !short(user));
        dropped.early_short_user_interactions = (all.len() - events.len()) as u64;
    }
    let counts: BTreeMap<usize, u64> =
        items.iter().map(|item| (*item, of_item(&events, *item))).collect();
    let before = events.len();
    dropped.rare_items = items.len() as u64;
    items.retain(|item| counts[item] >= rules.min_item_count);
    dropped.rare_items -= items.len() as u64;
    events.retain(|event| items.contains(&event.1));
    dropped.rare_item_interactions = (before - events.len()) as u64;
    // Equal counts stay in the order of first appearance.
    items.sort_by_key(|item| std::cmp::Reverse(counts[item]));

    let mut made = vec![];
    for user in users {
        let mut own: Vec<(i64, u32, u32)> = vec![];
        for (_, item, (time, part)) in events.iter().filter(|event| event.0 == user) {
            let number = items.iter().position(|known| known == item)? as u32 + 1;
            let at = own.iter().take_while(|e| !timed || (e.0, e.1) <= (*time, *part)).count();
            own.insert(at, (*time, *part, number));
        }
        if (own.len() as u64) < rules.min_user_count {
            dropped.short_users += 1;
            dropped.short_user_interactions += own.len() as u64;
            continue;
        }
        let place = made.len() as u128;
        let last = own.last().map_or(0, |event| event.0);
        let part = match split.by {
            SplitBy::Hash => match ((place * 0x9E37_79B9_7F4A_7C15 % (1 << 64)) >> 32) % 10 {
                8 => Some(Split::Validation),
                9 => Some(Split::Test),
                _ => Some(Split::Train),
            },
            SplitBy::Time if last >= split.test_from? => Some(Split::Test),
            SplitBy::Time if last >= split.validation_from? => Some(Split::Validation),
            // Which users a shuffle takes is no rule; how many is.
            SplitBy::Seed => None,
            _ => Some(Split::Train),
        };
        made.push((id(user), part, own.into_iter().map(|(time, _, item)| (time, item)).collect()));
    }
    let catalogue = items.iter().map(|item| (id(*item), counts[item])).collect::<Vec<_>>();
    let has = |part| made.iter().any(|(_, own, _)| *own == Some(part));
    let whole = match split.by {
        SplitBy::Seed => made.len() >= 10,
        SplitBy::Hash | SplitBy::Time => Split::ALL.into_iter().all(has),
        _ => true,
    };
    let left = !catalogue.is_empty() && !made.is_empty() && whole;
    left.then_some(Expected { catalogue, users: made, dropped })
}

/// What a dataset holds.
fn held(dataset: &Dataset, by: SplitBy) -> Expected {
    let offsets = &dataset.sequences.offsets;
    let events = |user: usize| {
        let own = offsets[user]..offsets[user + 1];
        let times = own.clone().map(|at| dataset.times.as_ref().map_or(0, |times| times[at]));
        times.zip(dataset.sequences.get(user).iter().copied()).collect()
    };
    let part = |user: usize| (by != SplitBy::Seed).then_some(dataset.split[user]);
    Expected {
        catalogue: dataset.items.iter().map(|own| (own.original.to_string(), own.count)).collect(),
        users: (0..dataset.users.len())
            .map(|user| (dataset.users[user].clone(), part(user), events(user)))
            .collect(),
        dropped: dataset.manifest.dropped.clone(),
    }
}

/// A log of up to 300 events with many ties, some of them at the ends of time.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let time = prop_oneof![8 => -3i64..3, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let part = prop_oneof![3 => Just(0u32), 1 => Just(500_000_000u32), 1 => Just(1u32)];
    // The smaller of two, so that some users and items are rare.
    let number = |most: usize| (0..most, 0..most).prop_map(|(a, b)| a.min(b));
    vec((number(30), number(25), (time, part)), 1..300)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (1u64..5, 1u64..5, any::<bool>()).prop_map(|(items, users, short_users_first)| Rules {
        min_item_count: items,
        min_user_count: users,
        short_users_first,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn preparation_is_what_a_slow_plain_one_makes(
        events in any_events(),
        timed in any::<bool>(),
        rules in any_rules(),
        by in prop::sample::select(vec![SplitBy::Seed, SplitBy::Hash, SplitBy::Time, SplitBy::None]),
        moments in (-4i64..4, 0i64..3),
    ) {
        // Without times nothing is split by them.
        let timed = timed || by == SplitBy::Time;
        let of_time = by == SplitBy::Time;
        let split = SplitRule {
            by,
            validation_from: of_time.then_some(moments.0),
            test_from: of_time.then_some(moments.0 + moments.1),
            ..SplitRule::default()
        };
        let mut events = events;
        if !timed {
            events.iter_mut().for_each(|event| event.2 = (0, 0));
        }
        let expected = plain(&events, timed, &rules, &split);
        let dataset = prepare("x", log(&events, timed), &rules, &split);
        let Some(expected) = expected else {
            prop_assert!(dataset.is_err(), "{:?}", dataset.unwrap());
            return Ok(());
        };
        let dataset = dataset.unwrap();
        prop_assert_eq!(held(&dataset, by), expected);
        prop_assert_eq!(dataset.times.is_some(), timed);
        let users = dataset.users.len();
        if by == SplitBy::Seed {
            let count = |part| dataset.users_of(part).len();
            let (train, validation) = (users * 8 / 10, users / 10);
            let parts = [train, validation, users - train - validation];
            prop_assert_eq!(Split::ALL.map(count), parts);
        }
    }

    /// Each event of a user who is kept is on one side of each moment.
    #[test]
    fn a_cut_parts_every_sequence_by_time(
        events in any_events(),
        rules in any_rules(),
        moments in (-4i64..4, 1i64..4),
    ) {
        let (from, test) = (moments.0, moments.0 + moments.1);
        let cut = SplitRule {
            by: SplitBy::Cut,
            validation_from: Some(from),
            test_from: Some(test),
            ..SplitRule::default()
        };
        let none = SplitRule { by: SplitBy::None, ..SplitRule::default() };
        let dataset = prepare("x", log(&events, true), &rules, &cut);
        let times = events.iter().map(|event| event.2.0);
        let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
        let expected = plain(&events, true, &rules, &none).map(|expected| {
            let count = |own: &[(i64, u32)], end| own.iter().filter(|event| event.0 < end).count();
            let bounds = |own: &[(i64, u32)]| [0, count(own, from), count(own, test), own.len()];
            let cuts: Vec<[usize; 4]> =
                expected.users.iter().map(|(_, _, own)| bounds(own)).collect();
            // A user is in each part that has items and, where it is measured, items before them.
            let users = [0, 1, 2].map(|part| -> Vec<usize> {
                let within = |own: &[usize; 4]| {
                    own[part] < own[part + 1] && (part == 0 || own[part] > 0)
                };
                (0..cuts.len()).filter(|user| within(&cuts[*user])).collect()
            });
            (expected, users)
        });
        let within = from > first && test <= last;
        match expected.filter(|(_, users)| within && users.iter().all(|part| !part.is_empty())) {
            None => prop_assert!(dataset.is_err()),
            Some((expected, users)) => {
                let dataset = dataset.unwrap();
                prop_assert_eq!(held(&dataset, SplitBy::Cut), expected);
                prop_assert_eq!(Split::ALL.map(|part| dataset.users_of(part)), users);
            }
        }
    }
}
