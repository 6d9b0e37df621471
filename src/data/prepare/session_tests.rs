//! The rules for sessions, against a slow plain form of them and on real samples.

use std::path::PathBuf;

use rand::RngExt;
use sha2::{Digest, Sha256};

use super::super::interactions::Builder;
use super::super::split_rule::{Moment, SplitBy};
use super::*;
use crate::data::Description;
use crate::files::hex;
use crate::random::{Purpose, stream};

struct Event {
    session: String,
    item: String,
    time: i64,
    day: i64,
    in_test_file: bool,
}

fn log(events: &[Event], timed: bool) -> Log {
    let mut builder = Builder::default();
    let mut testing = false;
    for event in events {
        if event.in_test_file && !testing {
            builder.begin_test();
            testing = true;
        }
        builder.push(&event.session, &event.item, timed.then_some(event.time)).unwrap();
        if timed {
            builder.push_day(event.day);
        }
    }
    Log { interactions: builder.finish().unwrap(), files: Vec::new(), left_out: 0 }
}

/// The rules once more: sessions as lists, dropped and rebuilt step by step. Items with their
/// counts, and sessions with their parts and items.
#[allow(clippy::type_complexity)]
fn plain(
    events: &[Event],
    timed: bool,
    rules: &Rules,
    split: &SplitRule,
) -> (Vec<(String, usize)>, Vec<(String, Split, Vec<String>)>) {
    let mut sessions: Vec<(&str, Vec<&Event>)> = Vec::new();
    for event in events {
        match sessions.iter_mut().find(|(name, _)| *name == event.session) {
            Some((_, own)) => own.push(event),
            None => sessions.push((&event.session, vec![event])),
        }
    }
    let least = rules.min_user_count as usize;
    if rules.short_users_first {
        sessions.retain(|(_, own)| own.len() >= least);
    }
    let mut counts: Vec<(String, usize)> = Vec::new();
    for event in events.iter().filter(|e| sessions.iter().any(|(name, _)| *name == e.session)) {
        match counts.iter_mut().find(|(item, _)| *item == event.item) {
            Some((_, count)) => *count += 1,
            None => counts.push((event.item.clone(), 1)),
        }
    }
    // Items are named so that their numbers are their order of appearance in the whole log.
    let appearance = |item: &str| events.iter().position(|event| event.item == item);
    counts.sort_by_key(|(item, count)| (std::cmp::Reverse(*count), appearance(item)));
    counts.retain(|(_, count)| *count >= rules.min_item_count as usize);
    for (_, own) in &mut sessions {
        own.retain(|event| counts.iter().any(|(item, _)| *item == event.item));
        if timed {
            own.sort_by_key(|event| event.time);
        }
    }
    sessions.retain(|(_, own)| own.len() >= least);

    let day = |own: &[&Event]| match split.event {
        Some(Moment::First) => own[0].day,
        _ => own[own.len() - 1].day,
    };
    let latest = sessions.iter().map(|(_, own)| day(own)).max().unwrap();
    let tests = |own: &[&Event]| match split.test_days {
        Some(days) => latest - day(own) < i64::from(days) * 86_400,
        None => own[0].in_test_file,
    };
    let seen: Vec<&str> = sessions
        .iter()
        .filter(|(_, own)| !tests(own))
        .flat_map(|(_, own)| own.iter().map(|event| &*event.item))
        .collect();
    counts.retain(|(item, _)| seen.contains(&&**item));
    let parts: Vec<bool> = sessions.iter().map(|(_, own)| tests(own)).collect();
    let mut training: Vec<(i64, usize)> = Vec::new();
    for (at, (_, own)) in sessions.iter().enumerate().filter(|(at, _)| !parts[*at]) {
        training.push((if timed { day(own) } else { 0 }, at));
    }
    training.sort();
    let validating = (split.validation_share.unwrap() * training.len() as f64).ceil() as usize;
    let validation: Vec<usize> =
        training.iter().rev().take(validating).map(|(_, at)| *at).collect();
    let mut made = Vec::new();
    for (at, (name, own)) in sessions.iter().enumerate() {
        let items: Vec<String> =
            own.iter().map(|e| e.item.clone()).filter(|item| seen.contains(&&**item)).collect();
        let part = match (parts[at], validation.contains(&at)) {
            (true, _) => Split::Test,
            (_, true) => Split::Validation,
            _ => Split::Train,
        };
        if items.len() >= least {
            made.push((name.to_string(), part, items));
        }
    }
    (counts, made)
}

/// Sessions with their parts and their items' original ids.
fn sessions(dataset: &Dataset) -> Vec<(String, Split, Vec<String>)> {
    let original = |id: &u32| dataset.items[*id as usize - 1].original.to_string();
    let session = |user: usize| {
        let items = dataset.sequences.get(user).iter().map(original).collect();
        (dataset.users[user].clone(), dataset.split[user], items)
    };
    (0..dataset.users.len()).map(session).collect()
}

#[test]
fn preparation_of_sessions_is_what_a_slow_plain_one_makes() {
    let mut something_was_unseen = 0;
    for seed in 0..60u64 {
        let mut random = stream(seed, Purpose::Generation, 1);
        let (given, timed) = (seed % 2 == 0, seed % 3 != 0 || seed % 2 == 1);
        let mut events: Vec<Event> = (0..500)
            .map(|_| {
                let session = (random.random::<f64>().powi(2) * 150.0) as i64;
                let in_test_file = given && session % 4 == 0;
                // Later sessions meet items of larger numbers.
                let item = (random.random::<f64>().powi(3) * 60.0) as i64 + session / 10;
                Event {
                    session: format!("s{session}"),
                    item: format!("i{item}"),
                    time: random.random_range(0..9),
                    day: (session / 6 + random.random_range(0..2)) * 86_400,
                    in_test_file,
                }
            })
            .collect();
        events.sort_by_key(|event| event.in_test_file);
        let rules = Rules {
            min_item_count: 1 + seed % 4,
            min_user_count: 2,
            short_users_first: seed % 5 < 2,
        };
        let split = SplitRule {
            by: if given { SplitBy::Given } else { SplitBy::Days },
            test_days: (!given).then_some(1 + seed as u32 % 5),
            event: [None, Some(Moment::First), Some(Moment::Last)][seed as usize % 3],
            validation_share: Some(0.1),
            ..SplitRule::default()
        };
        let dataset = prepare("x", log(&events, timed), &rules, &split).unwrap();
        let (catalogue, made) = plain(&events, timed, &rules, &split);
        let items: Vec<_> = dataset
            .items
            .iter()
            .map(|item| (item.original.to_string(), item.count as usize))
            .collect();
        assert_eq!(items, catalogue, "seed {seed}");
        assert_eq!(sessions(&dataset), made, "seed {seed}");
        // Nothing is lost without being counted.
        let dropped = &dataset.manifest.dropped;
        let interactions = dropped.early_short_user_interactions
            + dropped.rare_item_interactions
            + dropped.short_user_interactions
            + dropped.unseen_item_interactions
            + dropped.short_test_user_interactions;
        assert_eq!(dataset.sequences.items.len() as u64 + interactions, 500, "seed {seed}");
        assert_eq!(dropped.early_short_users > 0, rules.short_users_first);
        something_was_unseen += usize::from(dropped.unseen_item_interactions > 0);
    }
    assert!(something_was_unseen > 10);
}

fn events(text: &str, in_test_file: bool) -> Vec<Event> {
    let pair = |pair: &str| Event {
        session: pair[..1].into(),
        item: pair[1..].into(),
        time: 0,
        day: 0,
        in_test_file,
    };
    text.split_whitespace().map(pair).collect()
}

#[test]
fn repeated_items_stay_and_items_that_only_the_test_has_met_go() {
    let mut all = events("ax ax ay ax by by", false);
    all.extend(events("cx cx cnew dx dnew", true));
    let rules = Rules { min_item_count: 1, min_user_count: 2, ..Rules::default() };
    let split = SplitRule { by: SplitBy::Given, ..SplitRule::default() };
    let dataset = prepare("x", log(&all, false), &rules, &split).unwrap();
    assert_eq!(dataset.users, ["a", "b", "c"]);
    let sequences: Vec<_> = (0..3).map(|user| dataset.sequences.get(user)).collect();
    assert_eq!(sequences, [&[1, 1, 2, 1][..], &[2, 2], &[1, 1]]);
    let dropped = &dataset.manifest.dropped;
    assert_eq!((dropped.unseen_items, dropped.unseen_item_interactions), (1, 2));
    assert_eq!((dropped.short_test_users, dropped.short_test_user_interactions), (1, 1));

    let mut all = events("ax ax bx bx", false);
    all.extend(events("cnew cnew dx dnew", true));
    let said = prepare("x", log(&all, false), &rules, &split).unwrap_err().to_string();
    assert!(said.starts_with("no user is left for test: none of 2 has 2"), "{said}");
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// Prepared as the description of that name says, but from other files.
fn described(name: &str, files: Vec<PathBuf>, test_files: Vec<PathBuf>) -> Dataset {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let mut description = Description::load(&folder.join(name).with_extension("toml")).unwrap();
    (description.source.files, description.source.test_files) = (files, test_files);
    description.check().unwrap();
    let log = description.source.read(&mut |_| ()).unwrap();
    prepare(name, log, &description.rules, &description.split).unwrap()
}

/// Sessions and interactions of each part, items, and a hash of a line a session: its id, its part,
/// its items.
fn facts(dataset: &Dataset) -> ([(usize, usize); 3], usize, String) {
    let mut hash = Sha256::new();
    for (name, part, items) in sessions(dataset) {
        hash.update(format!("{name} {} {}\n", part.name(), items.join(" ")));
    }
    let parts = [Split::Train, Split::Validation, Split::Test].map(|part| {
        let users = dataset.users_of(part);
        (users.len(), users.iter().map(|user| dataset.sequences.get(*user).len()).sum())
    });
    (parts, dataset.items.len(), hex(&hash.finalize()))
}

// What is expected of the raw samples was computed by a script of its own, in Python.

#[test]
fn the_raw_sample_of_diginetica_is_prepared_as_by_another_program() {
    let Some(file) = shared("diginetica/sample_train-item-views.csv") else { return };
    let (parts, items, hash) = facts(&described("diginetica", vec![file], vec![]));
    assert_eq!((parts, items), ([(468, 1_668), (10, 44), (41, 143)], 312));
    assert_eq!(hash, "8977fff59e98088247862bd8b7ae024d44912d59bab966a19aad380a70bfe68a");
}

#[test]
fn the_first_sessions_of_otto_are_prepared_as_by_another_program() {
    let Some(file) = shared("otto-sample/train.jsonl") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let twelve = text.match_indices('\n').nth(11).unwrap().0 + 1;
    let dir = tempfile::tempdir().unwrap();
    let [train, test] = [("a.jsonl", &text[..twelve]), ("b.jsonl", &text[twelve..])].map(|half| {
        let path = dir.path().join(half.0);
        std::fs::write(&path, half.1).unwrap();
        path
    });
    let (parts, items, hash) = facts(&described("otto", vec![train], vec![test]));
    assert_eq!((parts, items), ([(11, 779), (1, 4), (6, 13)], 505));
    assert_eq!(hash, "773fb467b2f52d77bf58b6eda9643d04cdd4a4529bf4f899bee987961daffa09");
}

#[test]
fn the_given_split_of_diginetica_has_the_known_size() {
    let Some(train) = shared("diginetica/train_sessions.txt.gz") else { return };
    let test = train.with_file_name("test_sessions.txt.gz");
    let dataset = described("diginetica-sessions", vec![train], vec![test]);
    let (parts, items, _) = facts(&dataset);
    assert_eq!(parts, [(182_936, 888_812), (3_734, 17_328), (15_963, 76_821)]);
    assert_eq!((parts[0].0 + parts[1].0, items), (186_670, 43_097));
    // The last sessions of the training file, which is in the order of time.
    assert_eq!(dataset.split[182_936..186_670], [Split::Validation; 3_734]);
    // The first line of the file comes back as it was.
    let first: Vec<_> = dataset.sequences.get(0).iter().map(|id| *id as usize - 1).collect();
    let first: Vec<_> = first.iter().map(|item| &*dataset.items[*item].original).collect();
    assert_eq!(first, ["1", "2"]);
}
