//! Cold items against a slow plain form of the rule, on any log.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::data::interactions::Builder;
use crate::data::{Dataset, Log, Rules, Split, SplitBy, SplitRule, prepare};

/// User and item by number, and time.
type Event = (u32, u32, i64);

fn log(events: &[Event], timed: bool) -> Log {
    let mut builder = Builder::default();
    for (user, item, time) in events {
        builder.push(&format!("u{user}"), &item.to_string(), timed.then_some(*time)).unwrap();
    }
    Log { interactions: builder.finish().unwrap(), files: vec![], left_out: 0 }
}

fn is_cold(item: u32, one_in: u32, part: u32) -> bool {
    u128::from(item) * 2_654_435_761 % (1 << 32) % u128::from(one_in) == u128::from(part)
}

/// Users with their whole sequences, oldest first, in the order of the log, as the rules leave them.
fn whole(events: &[Event], timed: bool, rules: &Rules) -> Vec<(u32, Vec<(i64, u32)>)> {
    let count = |item| events.iter().filter(|event| event.1 == item).count() as u64;
    let mut users: Vec<(u32, Vec<(i64, u32)>)> = vec![];
    for (user, _, _) in events {
        if users.iter().all(|(known, _)| known != user) {
            users.push((*user, vec![]));
        }
    }
    for (user, own) in &mut users {
        let kept = events.iter().filter(|e| e.0 == *user && count(e.1) >= rules.min_item_count);
        own.extend(kept.map(|event| (event.2, event.1)));
        if timed {
            own.sort_by_key(|event| event.0);
        }
    }
    users.retain(|(_, own)| own.len() as u64 >= rules.min_user_count);
    users
}

fn original(dataset: &Dataset, item: u32) -> u32 {
    dataset.items[item as usize - 1].original.parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cold_items_leave_all_sequences_and_the_last_of_a_user_is_asked_for(
        events in vec((0u32..25, (0u32..30, 0u32..30).prop_map(|(a, b)| a.min(b)), 0i64..12), 20..250),
        timed in any::<bool>(),
        counts in (1u64..4, 1u64..4),
        rule in (2u32..6, 0u32..6),
        by in prop::sample::select(vec![SplitBy::Hash, SplitBy::LeaveOneOut, SplitBy::Cut]),
    ) {
        let timed = timed || by == SplitBy::Cut;
        let (one_in, part) = (rule.0, rule.1 % rule.0);
        let rules = Rules { min_item_count: counts.0, min_user_count: counts.1, short_users_first: false };
        let cut = by == SplitBy::Cut;
        let split = SplitRule {
            by,
            cold_one_in: Some(one_in),
            cold_part: Some(part),
            validation_from: cut.then_some(4),
            test_from: cut.then_some(8),
            ..SplitRule::default()
        };
        let without = SplitRule { cold_one_in: None, cold_part: None, ..split.clone() };
        let Ok(dataset) = prepare("x", log(&events, timed), &rules, &split) else {
            return Ok(());
        };
        let users = whole(&events, timed, &rules);
        let cold = |item: &u32| is_cold(*item, one_in, part);
        let warm = |own: &[(i64, u32)]| -> Vec<u32> {
            own.iter().map(|event| event.1).filter(|item| !cold(item)).collect()
        };
        let kept: Vec<_> = users.iter().filter(|(_, own)| !warm(own).is_empty()).collect();
        let names: Vec<String> = kept.iter().map(|(user, _)| format!("u{user}")).collect();
        prop_assert_eq!(&dataset.users, &names);
        let mut targets = vec![];
        for (place, (_, own)) in kept.iter().enumerate() {
            let held = dataset.sequences.get(place).iter().map(|item| original(&dataset, *item));
            prop_assert_eq!(held.collect::<Vec<_>>(), warm(own));
            let (time, last) = own[own.len() - 1];
            let asked = match by {
                SplitBy::LeaveOneOut => true,
                SplitBy::Cut => time >= 8,
                _ => dataset.split[place] == Split::Test,
            };
            if asked && cold(&last) {
                targets.push((place as u32, last));
            }
        }
        let found = dataset.cold.as_ref().unwrap();
        let told = found.targets.iter().map(|(user, item)| (*user, original(&dataset, *item)));
        prop_assert_eq!(told.collect::<Vec<_>>(), targets);
        prop_assert!(found.items.is_sorted());
        let marked: Vec<u32> = found.items.iter().map(|item| original(&dataset, *item)).collect();
        let of_catalogue = (1..=dataset.items.len() as u32).map(|item| original(&dataset, item));
        prop_assert_eq!(marked, of_catalogue.filter(|item| cold(item)).collect::<Vec<_>>());
        // The catalogue is that of the log without the rule.
        if let Ok(other) = prepare("x", log(&events, timed), &rules, &without) {
            prop_assert_eq!(&dataset.items, &other.items);
            prop_assert!(other.cold.is_none());
        }
        let taken = users.iter().flat_map(|(_, own)| own).filter(|event| cold(&event.1)).count();
        let dropped = &dataset.manifest.dropped;
        prop_assert_eq!(dropped.cold_item_interactions, taken as u64);
        prop_assert_eq!(dropped.cold_users, (users.len() - kept.len()) as u64);
    }
}

#[test]
fn a_rule_that_nobody_can_be_asked_by_is_refused() {
    // Of the items 0 to 3 with one in two those of even products are cold: 0 and 2.
    let said = |events: &[Event]| {
        let by = SplitBy::LeaveOneOut;
        let split = SplitRule { by, cold_one_in: Some(2), ..SplitRule::default() };
        let rules = Rules { min_item_count: 1, min_user_count: 1, short_users_first: false };
        prepare("x", log(events, false), &rules, &split).unwrap_err().to_string()
    };
    assert!(said(&[(0, 1, 0), (0, 3, 0)]).starts_with("cold_one_in = 2 makes no item cold"));
    assert!(said(&[(0, 0, 0), (0, 2, 0)]).starts_with("cold_one_in = 2 leaves no user"));
    let said = said(&[(0, 0, 0), (0, 1, 0), (0, 3, 0), (0, 1, 0), (1, 2, 0)]);
    assert!(said.starts_with("cold_one_in = 2 leaves nobody to ask: none of the 2 cold"), "{said}");
}

#[test]
fn cold_items_and_who_is_asked_are_those_of_the_comparison() {
    use crate::data::{Format, Source};
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/amazon-5core");
    if !folder.exists() {
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    // Counted by the rule in a few lines of another language.
    for (name, items, users, taken) in
        [("beauty", 601, 1_123, 10_386), ("sports", 913, 1_715, 14_361)]
    {
        let files = vec![folder.join(format!("{name}.txt.gz"))];
        let source = Source { files, format: Some(Format::Sequences), ..Source::default() };
        let by = SplitBy::LeaveOneOut;
        let split = SplitRule { by, cold_one_in: Some(20), ..SplitRule::default() };
        let rules = Rules { min_item_count: 1, min_user_count: 1, short_users_first: false };
        let dataset = prepare(name, source.read(&mut |_| {}).unwrap(), &rules, &split).unwrap();
        let cold = dataset.cold.unwrap();
        assert_eq!((cold.items.len(), cold.targets.len()), (items, users), "{name}");
        assert_eq!(dataset.manifest.dropped.cold_item_interactions, taken, "{name}");
    }
}
