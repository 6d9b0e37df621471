//! The rules of preparation one by one.

use super::super::interactions::Builder;
use super::super::split_rule::SplitBy;
use super::*;

type Event = (String, String, Option<i64>);

fn log(events: &[Event]) -> Log {
    let mut builder = Builder::default();
    for (user, item, time) in events {
        builder.push(user, item, *time).unwrap();
    }
    Log { interactions: builder.finish().unwrap(), files: Vec::new(), left_out: 3 }
}

fn pairs(text: &str) -> Vec<Event> {
    let pair = |pair: &str| (pair[..1].to_owned(), pair[1..].to_owned(), None);
    text.split_whitespace().map(pair).collect()
}

fn rules(min_item_count: u64, min_user_count: u64) -> Rules {
    Rules { min_item_count, min_user_count, ..Rules::default() }
}

fn hash() -> SplitRule {
    SplitRule { by: SplitBy::Hash, ..SplitRule::default() }
}

fn ten_users(extra: &str) -> Vec<Event> {
    pairs(
        &("ax ay bx by cx cy dx dy ex ey fx fy gx gy hx hy ix iy jx jy kx ky lx ly ".to_owned()
            + extra),
    )
}

#[test]
fn a_user_with_one_interaction_is_dropped_and_counted() {
    let limits = rules(1, 2);
    let dataset = prepare("x", log(&ten_users("zx")), &limits, &hash()).unwrap();
    assert_eq!(dataset.users.len(), 12);
    let dropped = &dataset.manifest.dropped;
    assert_eq!((dropped.short_users, dropped.short_user_interactions), (1, 1));
}

#[test]
fn the_catalogue_is_taken_before_users_are_dropped() {
    let limits = rules(2, 2);
    // `q` is bought twice, by users who each buy nothing else and are dropped.
    let dataset = prepare("x", log(&ten_users("yq zq")), &limits, &hash()).unwrap();
    let items: Vec<_> = dataset.items.iter().map(|item| (&*item.original, item.count)).collect();
    assert_eq!(items, [("x", 12), ("y", 12), ("q", 2)]);
    assert!(!dataset.sequences.items.contains(&3));
}

#[test]
fn filters_that_leave_nothing_say_which() {
    let fails = |log: Log, min_item_count, min_user_count| {
        let limits = rules(min_item_count, min_user_count);
        prepare("x", log, &limits, &hash()).unwrap_err().to_string()
    };
    let events = ten_users("");
    let said = fails(log(&events), 13, 1);
    assert!(
        said.starts_with("min_item_count = 13 leaves no item") && said.contains("12"),
        "{said}"
    );
    let said = fails(log(&events), 1, 3);
    assert!(
        said.starts_with("min_user_count = 3 leaves no user") && said.contains("2 inter"),
        "{said}"
    );
    let said = fails(log(&[]), 1, 1);
    assert!(said.starts_with("no interaction passes the keep filter: all 3"), "{said}");
    assert!(fails(log(&events), 0, 1).contains("at least 1"));
    let said = fails(log(&pairs("ax ay")), 1, 1);
    assert!(said.contains("none of 1 users for validation"), "{said}");
}

#[test]
fn a_split_by_time_trains_on_nothing_later_than_validation() {
    let mut events = ten_users("");
    for (line, event) in events.iter_mut().enumerate() {
        event.2 = Some(line as i64);
    }
    let limits = rules(1, 1);
    let split = SplitRule {
        by: SplitBy::Time,
        validation_from: Some(16),
        test_from: Some(20),
        ..SplitRule::default()
    };
    let dataset = prepare("x", log(&events), &limits, &split).unwrap();
    let times = dataset.times.as_ref().unwrap();
    for user in 0..12 {
        let last = times[dataset.sequences.offsets[user + 1] - 1];
        assert_eq!(dataset.split[user] == crate::data::Split::Train, last < 16);
        assert_eq!(dataset.split[user] == crate::data::Split::Test, last >= 20);
    }
    events.iter_mut().for_each(|event| event.2 = None);
    let said = prepare("x", log(&events), &limits, &split).unwrap_err();
    assert!(said.to_string().contains("needs a log with times"), "{said}");
}

#[test]
fn amazon_beauty_has_the_known_size() {
    use crate::data::{Format, Source};
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/amazon-beauty/useritem.txt.gz");
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
        return;
    }
    let source = Source { files: vec![path], format: Some(Format::UserItem), ..Source::default() };
    let log = source.read(&mut |_| {}).unwrap();
    let limits = rules(1, 5);
    let counts = prepare("x", log, &limits, &hash()).unwrap().manifest.counts;
    assert_eq!((counts.users, counts.items, counts.interactions), (40_226, 54_542, 353_962));
    let parts = (counts.train_users, counts.validation_users, counts.test_users);
    assert_eq!(parts, (32_181, 4_019, 4_026));
}
