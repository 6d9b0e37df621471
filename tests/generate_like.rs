//! `croloss generate --like`: raw logs in the formats of published data sets, prepared by the
//! descriptions of these, against the rules counted over the file's own lines here.

#[path = "common/logs.rs"]
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use croloss::data::{Dataset, Split};
use flate2::read::GzDecoder;
use logs::Place;
use serde_json::Value;

/// User, item and time.
type Event = (String, String, i64);

/// A generated log at a small scale, prepared by the description of that name.
fn prepared(place: &Place, name: &str, scale: f64) -> Dataset {
    let said = place.succeeds(&format!("generate --like {name} --scale {scale} --out raw"));
    assert!(said.starts_with("GENERATED, in the raw format of"), "{said}");
    assert!(said.ends_with(&format!("next: croloss prepare {name} --raw raw\n")), "{said}");
    let said = place.succeeds(&format!("prepare {name} --raw raw"));
    assert!(said.contains("expected: users") || name == "otto", "{said}");
    let dataset = Dataset::load(&place.path(&format!("data/{name}-generated"))).unwrap();
    assert!(dataset.manifest.generated);
    assert!(dataset.manifest.files.iter().all(|file| file.path.starts_with("raw/generated-")));
    dataset
}

/// How often each of these stands there.
fn counts<'e>(all: impl Iterator<Item = &'e String>) -> BTreeMap<&'e str, usize> {
    let mut counts = BTreeMap::new();
    all.for_each(|one| *counts.entry(one.as_str()).or_default() += 1);
    counts
}

/// The events of those who have at least so many.
fn frequent(events: &[Event], of: impl Fn(&Event) -> &String, least: usize) -> Vec<Event> {
    let counts = counts(events.iter().map(&of));
    events.iter().filter(|event| counts[of(event).as_str()] >= least).cloned().collect()
}

/// Users, items and events.
fn sizes(events: &[Event]) -> [usize; 3] {
    let users = counts(events.iter().map(|event| &event.0)).len();
    [users, counts(events.iter().map(|event| &event.1)).len(), events.len()]
}

fn found(dataset: &Dataset) -> [usize; 3] {
    let counts = dataset.counts();
    [counts.users, counts.items, counts.interactions].map(|count| count as usize)
}

fn near(found: usize, scale: f64, published: f64) {
    let share = found as f64 / (scale * published);
    assert!((0.97..1.03).contains(&share), "{found} of {published} at {scale}");
}

/// How often two users have the same pair of items one after the other.
fn together(events: &[Event]) -> u64 {
    let mut latest: BTreeMap<&str, &str> = BTreeMap::new();
    let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (user, item, _) in events {
        if let Some(before) = latest.insert(user, item) {
            *pairs.entry((before, item)).or_default() += 1;
        }
    }
    pairs.values().map(|count| count * (count - 1) / 2).sum()
}

/// The same users with the same items, dealt out anew: there is nothing to learn but popularity.
fn shuffled(events: &[Event]) -> Vec<Event> {
    let item = |place: usize| events[(place * 7919 + 13) % events.len()].1.clone();
    (0..).zip(events).map(|(place, (user, _, time))| (user.clone(), item(place), *time)).collect()
}

fn learnable(events: &[Event]) {
    let (own, chance) = (together(events), together(&shuffled(events)));
    assert!(own > 2 * chance, "{own} {chance}");
    // A tenth of the items has far more than its share, as Zipf's law has it.
    let mut popular: Vec<usize> =
        counts(events.iter().map(|event| &event.1)).into_values().collect();
    popular.sort_by(|a, b| b.cmp(a));
    let top: usize = popular[..popular.len() / 10].iter().sum();
    assert!(top as f64 > 0.2 * events.len() as f64, "{top} of {}", events.len());
}

#[test]
fn amazon_s_reviews() {
    let place = Place::new();
    let dataset = prepared(&place, "amazon-books", 0.003);
    let file = File::open(place.path("raw/generated-reviews_Books_5.json.gz")).unwrap();
    let mut events: Vec<Event> = vec![];
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let review: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let keys: Vec<&str> = review.as_object().unwrap().keys().map(String::as_str).collect();
        // In alphabetical order: every key that the owner's lines have.
        assert_eq!(
            keys,
            [
                "asin",
                "helpful",
                "overall",
                "reviewText",
                "reviewTime",
                "reviewerID",
                "reviewerName",
                "summary",
                "unixReviewTime",
            ]
        );
        let text = |key: &str| review[key].as_str().unwrap().to_owned();
        assert_eq!((text("reviewerID").len(), text("asin").len()), (14, 10));
        let time = review["unixReviewTime"].as_i64().unwrap();
        assert!(time % 86_400 == 0 && (832_550_400..=1_406_073_600).contains(&time));
        // 01 3, 2010
        let [month, day, year] = [0, 1, 2].map(|part| {
            let text = text("reviewTime");
            let parts: Vec<&str> = text.split([' ', ',']).filter(|part| !part.is_empty()).collect();
            parts[part].parse::<i64>().unwrap()
        });
        let days = (year - 1970) * 365 + (month - 1) * 30 + day;
        assert!((days - time / 86_400).abs() < 20, "{year} {month} {day} {time}");
        events.push((text("reviewerID"), text("asin"), time));
    }
    assert_eq!(events.len(), (8_898_041.0_f64 * 0.003).round() as usize);
    let items = frequent(&events, |event| &event.1, 5);
    let kept = frequent(&items, |event| &event.0, 5);
    // An item whose users were all dropped keeps its row.
    assert_eq!(found(&dataset), [sizes(&kept)[0], sizes(&items)[1], sizes(&kept)[2]]);
    for (found, published) in found(&dataset).into_iter().zip([603_668.0, 367_982.0, 8_898_041.0]) {
        near(found, 0.003, published);
    }
    learnable(&events);
}

#[test]
fn taobao_s_behaviours() {
    let place = Place::new();
    let dataset = prepared(&place, "taobao", 0.001);
    let text = fs::read_to_string(place.path("raw/generated-UserBehavior.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let of_kind = |kind: &str| rows.iter().filter(|row| row[3] == kind).count();
    for (kind, published) in
        [("pv", 89_716_264.0), ("cart", 5_530_446.0), ("fav", 2_888_258.0), ("buy", 2_015_839.0)]
    {
        near(of_kind(kind), 0.001, published);
    }
    assert!(rows.iter().all(|row| row.len() == 5));
    let mut category = BTreeMap::new();
    assert!(rows.iter().all(|row| *category.entry(row[1]).or_insert(row[2]) == row[2]));
    let views = rows.iter().filter(|row| row[3] == "pv");
    let events: Vec<Event> =
        views.map(|row| (row[0].into(), row[1].into(), row[4].parse().unwrap())).collect();
    assert!(events.iter().all(|event| (1_511_539_200..1_512_316_800).contains(&event.2)));
    let items = frequent(&events, |event| &event.1, 5);
    let kept = frequent(&items, |event| &event.0, 5);
    // An item whose users were all dropped keeps its row.
    assert_eq!(found(&dataset), [sizes(&kept)[0], sizes(&items)[1], sizes(&kept)[2]]);
    for (found, published) in
        found(&dataset).into_iter().zip([976_779.0, 1_708_530.0, 85_384_110.0])
    {
        near(found, 0.001, published);
    }
    // What the rules drop is there as well.
    near(sizes(&events)[0], 0.001, 987_994.0);
    near(sizes(&events)[1], 0.001, 4_162_024.0);
    learnable(&kept);
}

#[test]
fn yoochoose_s_clicks() {
    let place = Place::new();
    let scale = 0.003;
    let dataset = prepared(&place, "yoochoose", scale);
    let text = fs::read_to_string(place.path("raw/generated-yoochoose-clicks.dat")).unwrap();
    let mut events: Vec<Event> = vec![];
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [session, time, item, _category] = fields[..] else { panic!("{line}") };
        assert!(time.len() == 24 && time.starts_with("2014-0") && time.ends_with('Z'), "{time}");
        let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
        // Of 2014, April to September.
        let days = [90, 120, 151, 181, 212, 243][number(5, 7) as usize - 4] + number(8, 10) - 1;
        let second = (days * 24 + number(11, 13)) * 3_600 + number(14, 16) * 60 + number(17, 19);
        events.push((session.into(), item.into(), second));
    }
    near(events.len(), scale, 33_003_944.0);
    near(sizes(&events)[0], scale, 9_249_729.0);
    near(sizes(&events)[1], scale, 52_739.0);
    let kept = frequent(&events, |event| &event.0, 2);
    let kept = frequent(&frequent(&kept, |event| &event.1, 5), |event| &event.0, 2);
    let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
    for (session, _, second) in &kept {
        let end = ends.entry(session).or_insert(*second);
        *end = (*end).max(*second);
    }
    let latest = ends.values().max().unwrap() - 86_400;
    let tests = |event: &&Event| ends[event.0.as_str()] > latest;
    let (test, train): (Vec<Event>, Vec<Event>) =
        kept.iter().cloned().partition(|event| tests(&event));
    let known: BTreeSet<&String> = train.iter().map(|event| &event.1).collect();
    let test: Vec<Event> = test.into_iter().filter(|event| known.contains(&event.1)).collect();
    let test = frequent(&test, |event| &event.0, 2);
    let all: Vec<Event> = train.iter().chain(&test).cloned().collect();
    assert_eq!(found(&dataset), sizes(&all));
    assert_eq!(dataset.users_of(Split::Test).len(), sizes(&test)[0]);
    assert!(!test.is_empty());
    for (found, published) in found(&dataset).into_iter().zip([7_981_581.0, 37_483.0, 31_708_461.0])
    {
        near(found, scale, published);
    }
    learnable(&all);
}

#[test]
fn otto_s_sessions() {
    let place = Place::new();
    let scale = 0.001;
    let dataset = prepared(&place, "otto", scale);
    let read = |name: &str| {
        let text = fs::read_to_string(place.path(name)).unwrap();
        let mut events: Vec<(Event, String)> = vec![];
        for line in text.lines() {
            let session: Value = serde_json::from_str(line).unwrap();
            for event in session["events"].as_array().unwrap() {
                let id = |value: &Value| value.as_u64().unwrap().to_string();
                let time = event["ts"].as_i64().unwrap();
                let kind = event["type"].as_str().unwrap().to_owned();
                events.push(((id(&session["session"]), id(&event["aid"]), time), kind));
            }
        }
        events
    };
    let [train, test] =
        ["train", "test"].map(|part| read(&format!("raw/generated-otto-recsys-{part}.jsonl")));
    let of_kind = |events: &[(Event, String)], kind: &str| -> Vec<Event> {
        events.iter().filter(|(_, own)| own == kind).map(|(event, _)| event.clone()).collect()
    };
    for (events, published) in [
        (&train, [194_720_954.0, 16_896_191.0, 5_098_951.0]),
        (&test, [12_340_303.0, 1_155_698.0, 355_292.0]),
    ] {
        for (kind, published) in ["clicks", "carts", "orders"].into_iter().zip(published) {
            near(of_kind(events, kind).len(), scale, published);
        }
    }
    let first_of_test = test.iter().map(|(event, _)| event.2).min().unwrap();
    assert!(train.iter().all(|(event, _)| event.2 <= first_of_test));
    let sessions = |events: &[(Event, String)]| -> BTreeSet<String> {
        events.iter().map(|(event, _)| event.0.clone()).collect()
    };
    assert!(sessions(&train).is_disjoint(&sessions(&test)));
    let train = frequent(&of_kind(&train, "clicks"), |event| &event.0, 2);
    let known: BTreeSet<&String> = train.iter().map(|event| &event.1).collect();
    let test = of_kind(&test, "clicks").into_iter().filter(|event| known.contains(&event.1));
    let test = frequent(&test.collect::<Vec<_>>(), |event| &event.0, 2);
    let all: Vec<Event> = train.iter().chain(&test).cloned().collect();
    assert_eq!(found(&dataset), sizes(&all));
    for (found, published) in
        found(&dataset).into_iter().zip([14_571_582.0, 1_855_603.0, 207_061_257.0])
    {
        near(found, scale, published);
    }
    learnable(&train);
}

#[test]
fn the_same_options_make_the_same_bytes() {
    let place = Place::new();
    for (out, more) in [("a", ""), ("b", ""), ("c", " --seed 2")] {
        for like in ["amazon-books", "taobao", "yoochoose", "otto"] {
            place.succeeds(&format!("generate --like {like} --scale 0.0001 --out {out}{more}"));
        }
    }
    let names = |folder: &str| {
        let entries = fs::read_dir(place.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<String>>()
    };
    assert_eq!(names("a").len(), 5);
    assert!(names("a").iter().all(|name| name.starts_with("generated-")));
    assert_eq!(names("a"), names("b"));
    for name in names("a") {
        let [a, b, c] = ["a", "b", "c"].map(|out| fs::read(place.path(out).join(&name)).unwrap());
        assert!(a == b && a != c, "{name}");
    }
    // Nothing is replaced unasked.
    let said = place.fails("generate --like otto --scale 0.0001 --out a", 2);
    assert!(said.starts_with("a/generated-otto-recsys-train.jsonl exists already"), "{said}");
    place.succeeds("generate --like otto --scale 0.0001 --out a --force");
    for wrong in ["--like otto --scale 0 --out x", "--out x", "--like otto --users 3 --out x"] {
        assert_eq!(place.run(&format!("generate {wrong}")).status.code(), Some(2), "{wrong}");
    }
}
