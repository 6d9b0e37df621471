//! `croloss prepare` and `croloss generate` from outside: exit status, words, files left behind.

#[path = "common/logs.rs"]
mod logs;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use logs::{Place, TABLE, log};

fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{name} in {table}")).rsplit("  ").next().unwrap().trim()
}

#[test]
fn a_table_is_prepared_and_summed_up() {
    let place = Place::new();
    place.put("log.csv", log());
    let said = place.succeeds(&format!("prepare --input log.csv {TABLE}"));
    for (name, value) in [
        ("users  ", "20"),
        ("items  ", "10"),
        ("interactions", "120"),
        ("density", "60.0000 %"),
        ("sequence length, mean", "6.00"),
        ("users that train", "16"),
        ("users that validate", "2"),
        ("users that test", "2"),
        ("… and their interactions", "96"),
        ("… and distinct items", "10"),
        ("dropped: users with fewer than 5", "1"),
        ("written to", "data/log"),
    ] {
        assert_eq!(row(&said, name), value, "{name}");
    }
    let dataset = croloss::data::Dataset::load(&place.path("data/log")).unwrap();
    assert_eq!(dataset.users[3], "u3");
    let items: Vec<_> = dataset.sequences.get(3).iter().map(|id| *id as usize - 1).collect();
    let items: Vec<_> = items.iter().map(|item| &*dataset.items[*item].original).collect();
    // The times fall, so the order is turned round.
    assert_eq!(items, ["i8", "i7", "i6", "i5", "i4", "i3"]);
    assert_eq!(dataset.manifest.dropped.short_users, 1);
    assert_eq!(place.names().len(), 2 + 4 + 1);
}

#[test]
fn the_summary_tells_the_log_s_span_repeats_ties_and_targets() {
    let place = Place::new();
    // Of each user's ten events the last five are the first five again, and two fall on each day:
    // half are repeats and half are tied. The last two are targets, of user 5 twice the same item.
    let mut text = "user,item,time\n".to_owned();
    for user in 0..20 {
        for step in 0..10 {
            let item = if user == 5 && step == 8 { 4 } else { step % 5 };
            text += &format!("u{user},i{item},2011-12-{:02}\n", step / 2 + 5);
        }
    }
    place.put("log.csv", text.clone() + "once,i1,2010-12-01T08:26:00\n");
    let said = place.succeeds(&format!("prepare --input log.csv {TABLE} --split hash"));
    for (name, value) in [
        ("first time in the log", "2010-12-01T08:26:00"),
        ("last time in the log", "2011-12-09"),
        ("repeats", "50.00 %"),
        ("tied times", "50.00 %"),
    ] {
        assert_eq!(row(&said, name), value, "{name}");
    }
    let targets: Vec<&str> = said.lines().filter(|line| line.contains("last fifths")).collect();
    let ends = targets.iter().map(|line| line.rsplit("  ").next().unwrap());
    // By the fixed hash users 6, 10, 11 and 15 validate, 1 and 5 test.
    assert_eq!(ends.collect::<Vec<_>>(), ["8 of 8", "3 of 4"]);

    place
        .put("plain.txt", (0..60).map(|at| format!("{} {}\n", at / 6, at % 6)).collect::<String>());
    let said = place.succeeds("prepare --input plain.txt --format user-item");
    assert!(!said.contains("time") && row(&said, "repeats") == "0.00 %", "{said}");
}

#[test]
fn options_go_before_the_description() {
    let place = Place::new();
    place.put("log.csv", log());
    place.put("other.tsv", log().replace(',', "\t"));
    place.put(
        "d.toml",
        "name = \"d\"\n[source]\nfiles = [\"log.csv\"]\nuser = \"user\"\nitem = \"item\"\n\
         time = \"time\"\n[rules]\nmin_user_count = 1\n[split]\nby = \"seed\"\nseed = 7\n",
    );
    assert_eq!(row(&place.succeeds("prepare d.toml"), "users  "), "21");
    let said = place.succeeds(
        "prepare d.toml --input other.tsv --name e --min-user-count 2 --split hash --keep \
         item=i1,i2,i3,i4,i5",
    );
    // Of every ten users two have a single one of these five items, and `once` has no other.
    assert_eq!((row(&said, "users  "), row(&said, "items  ")), ("16", "5"));
    assert_eq!(row(&said, "left out by keep"), "60");
    // By time: users 0 to 9 end at 100, the others earlier or later.
    let text = log();
    let times = text.lines().map(|line| match line.split_once(',') {
        Some((user, rest)) if user.len() == 3 => format!("{user},{rest}0\n"),
        Some(("u7", rest)) => format!("u7,{}\n", rest.replace(",100", ",500")),
        _ => format!("{line}\n"),
    });
    place.put("times.csv", times.collect::<String>());
    let said = place.succeeds(
        "prepare d.toml --input times.csv --out t --split time --validation-from 500 --test-from \
         501 --min-user-count 5",
    );
    assert_eq!((row(&said, "users that validate"), row(&said, "users that test")), ("1", "10"));
}

/// The raw logs of sessions that are published, in small, each prepared as its description in
/// `datasets/` says: the sessions with their parts and items.
fn prepared(place: &Place, description: &str, options: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let description = folder.join(description);
    place.succeeds(&format!("prepare {} {options} --out sessions", description.display()));
    let dataset = croloss::data::Dataset::load(&place.path("sessions")).unwrap();
    let item = |id: &u32| dataset.items[*id as usize - 1].original.to_string();
    let line = |user: usize| {
        let items: Vec<String> = dataset.sequences.get(user).iter().map(item).collect();
        let part = dataset.split[user].name();
        format!("{} {part}: {}", dataset.users[user], items.join(" "))
    };
    (0..dataset.users.len()).map(line).collect()
}

#[test]
fn yoochoose_s_raw_clicks_are_prepared() {
    let place = Place::new();
    // Session 3 is too short. 4 and 5 end within 24 hours before the last click, 6 does exactly 24
    // hours before it. Of session 5 only one item is known to the others.
    place.put(
        "yoochoose-clicks.dat",
        "1,2014-04-01T10:00:00.277Z,214,0\n1,2014-04-01T10:01:00.5Z,215,0\n\
         2,2014-04-02T10:00:00.000Z,214,S\n2,2014-04-02T10:00:00.000Z,214,0\n\
         3,2014-04-03T10:00:00.000Z,214,0\n\
         4,2014-04-06T08:00:00.000Z,215,0\n4,2014-04-05T09:00:00.000Z,214,0\n\
         5,2014-04-06T19:00:00.000Z,215,0\n5,2014-04-06T20:00:00.000Z,999,0\n\
         6,2014-04-05T19:00:00.000Z,215,0\n6,2014-04-05T20:00:00.000Z,214,12\n",
    );
    assert_eq!(
        prepared(&place, "yoochoose.toml", "--min-item-count 1"),
        ["1 train: 214 215", "2 train: 214 214", "4 test: 214 215", "6 validation: 215 214"]
    );
}

#[test]
fn diginetica_s_raw_views_are_prepared() {
    let place = Place::new();
    // Session 3 begins on the eighth day from the end, and goes on into the seventh.
    place.put(
        "train-item-views.csv",
        "session_id;user_id;item_id;timeframe;eventdate\n\
         1;NA;81;500;2016-05-01\n1;NA;82;100;2016-05-01\n\
         2;7;81;1;2016-05-02\n2;7;82;2;2016-05-02\n\
         3;NA;81;99;2016-05-09\n3;NA;82;10;2016-05-08\n\
         4;NA;81;1;2016-05-15\n4;NA;81;2;2016-05-15\n",
    );
    let made = ["1 train: 82 81", "2 train: 81 82", "3 validation: 82 81", "4 test: 81 81"];
    assert_eq!(prepared(&place, "diginetica.toml", "--min-item-count 3"), made);
    let by_last = "--min-item-count 3 --split-event last --validation-share 0.5 --force";
    assert_eq!(
        prepared(&place, "diginetica.toml", by_last),
        [made[0], "2 validation: 81 82", "3 test: 82 81", made[3]]
    );
}

#[test]
fn otto_s_clicks_and_sessions_as_text_keep_their_given_split() {
    let place = Place::new();
    let session = |id: u32, events: &str| {
        let event = |event: &str| {
            let (kind, rest) = event.split_at(1);
            let (aid, ts) = rest.split_once('@').unwrap();
            let kind = if kind == "c" { "clicks" } else { "orders" };
            format!(r#"{{"aid":{aid},"ts":{ts},"type":"{kind}"}}"#)
        };
        let events: Vec<String> = events.split(' ').map(event).collect();
        format!("{{\"session\":{id},\"events\":[{}]}}\n", events.join(","))
    };
    let train = session(0, "c8@30 c9@10 o7@40 c9@50") + &session(1, "c9@8 c8@9");
    let train = train + &session(2, "c9@70 o9@80 o8@90");
    place.put("otto-recsys-train.jsonl", train + &session(3, "c9@1 c8@2"));
    place.put("otto-recsys-test.jsonl", session(4, "c9@3 c7@4 c8@5") + &session(5, "c9@3 o7@6"));
    assert_eq!(
        prepared(&place, "otto.toml", ""),
        ["0 validation: 9 8 9", "1 train: 9 8", "3 train: 9 8", "4 test: 9 8"]
    );

    place.put("train_sessions.txt.gz", "5 6\n6 6 5\n5 7\n");
    place.put("test_sessions.txt.gz", "5 8\n8 7 6\n");
    assert_eq!(
        prepared(&place, "diginetica-sessions.toml", "--force"),
        ["1 train: 5 6", "2 train: 6 6 5", "3 validation: 5 7", "5 test: 7 6"]
    );
    place.put("again.jsonl", session(1, "c9@3 c8@4"));
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/otto.toml");
    let options = "--test-input again.jsonl --out again";
    let said = place.fails(&format!("prepare {} {options}", description.display()), 1);
    assert!(said.starts_with("the user 1 is in a training file and in a test file"), "{said}");
}

#[test]
fn the_same_log_makes_the_same_dataset() {
    let place = Place::new();
    place.put("log.csv", log());
    for out in ["a", "b"] {
        place.succeeds(&format!("prepare --input log.csv {TABLE} --name x --out {out}"));
    }
    for name in ["items.parquet", "users.parquet", "sequences.parquet", "dataset.toml"] {
        let read = |folder: &str| fs::read(place.path(folder).join(name)).unwrap();
        assert_eq!(read("a"), read("b"), "{name}");
    }
}

#[test]
fn what_exists_is_replaced_only_by_force_and_refused_before_anything_is_read() {
    let place = Place::new();
    place.put("log.csv", "not,a,log\n");
    fs::create_dir_all(place.path("data/log")).unwrap();
    let said = place.fails(&format!("prepare --input log.csv {TABLE}"), 2);
    assert!(said.starts_with("data/log exists already") && said.contains("--force"), "{said}");
    place.put("log.csv", log());
    place.succeeds(&format!("prepare --input log.csv {TABLE} --force"));
    // A failure leaves the old dataset as it was.
    place.put("bad.csv", "user,item,time\n");
    place.fails(&format!("prepare --input bad.csv {TABLE} --name log --force"), 1);
    croloss::data::Dataset::load(&place.path("data/log")).unwrap();

    place.put("made.csv", "old");
    let said = place.fails("generate --preset demo --out made.csv", 2);
    assert!(said.contains("--force"), "{said}");
    place.succeeds("generate --preset demo --out made.csv --users 30 --items 20 --force");
    place.succeeds("generate --preset demo --out a/new/made.csv --users 30 --items 20");
    assert!(fs::read_to_string(place.path("made.csv")).unwrap().starts_with("user,item,time\n"));
}

#[test]
fn bad_logs_fail_with_one_clear_sentence() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(log().as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let bad = |line: &str| format!("{}{line}\n", log()).into_bytes();
    let cases: [(&str, Vec<u8>, &str); 10] = [
        ("empty.csv", Vec::new(), "empty.csv holds no interactions"),
        ("header.csv", b"user,item,time\n".to_vec(), "header.csv holds no interactions"),
        ("user.csv", bad(",i1,1"), "user.csv:123: the user id (column `user`) is empty"),
        ("item.csv", bad("u1,,1"), "item.csv:123: the item id (column `item`) is empty"),
        ("ragged.csv", bad("u1,i1"), "ragged.csv:123: 2 fields where 3 are expected"),
        ("time.csv", bad("u1,i1,noon"), "time.csv:123: \"noon\" (column `time`) is no time"),
        (
            "bytes.csv",
            [log().as_bytes(), b"\xff"].concat(),
            "bytes.csv:123: this line is not UTF-8",
        ),
        ("cut.csv.gz", packed[..200].to_vec(), "cut.csv.gz ends in the middle of its gzip data"),
        ("json.jsonl", b"{\"user\": 1,\n".to_vec(), "json.jsonl:1: this line is no JSON object"),
        ("torn.parquet", b"PAR1".to_vec(), "torn.parquet cannot be read as a Parquet file"),
    ];
    for (name, content, expected) in cases {
        let place = Place::new();
        place.put(name, content);
        let said = place.fails(&format!("prepare --input {name} {TABLE}"), 1);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn filters_and_splits_that_leave_nothing_say_so() {
    let place = Place::new();
    place.put("log.csv", log());
    let fails =
        |options: &str| place.fails(&format!("prepare --input log.csv {TABLE} {options}"), 1);
    assert!(fails("--min-item-count 14").starts_with("min_item_count = 14 leaves no item"));
    assert!(fails("--min-user-count 7").starts_with("min_user_count = 7 leaves no user"));
    assert!(fails("--keep item=none").starts_with("no interaction passes the keep filter"));
    let said = fails("--keep user=u1,u2 --min-item-count 1");
    assert!(said.starts_with("the split leaves none of 2 users for validation"), "{said}");
    let late = "--split time --validation-from 5 --test-from 1000";
    let said = place.fails(&format!("prepare --input log.csv {TABLE} {late}"), 2);
    assert!(said.contains("test_from (1000) must lie within the users' last events"), "{said}");
}

#[test]
fn bad_calls_and_descriptions_are_told_with_status_2() {
    let place = Place::new();
    place.put("log.csv", log());
    place.put("later.csv", log());
    place.put("typo.toml", "name = \"d\"\n[source]\nusr = \"user\"\n");
    place.put("value.toml", "name = \"d\"\n[split]\nby = \"tim\"\n");
    place.put("type.toml", "name = \"d\"\n[rules]\nmin_item_count = \"5\"\n");
    for (arguments, expected) in [
        ("prepare", "no log to read: give --input FILE"),
        ("prepare nowhere.toml", "there is no file nowhere.toml"),
        ("prepare typo.toml", "typo.toml:3: unknown key `usr`: did you mean `user`?"),
        ("prepare value.toml", "value.toml:3: unknown value \"tim\" of `by`: did you mean `time`?"),
        ("prepare type.toml", "type.toml:3: invalid type: string \"5\", expected u64"),
        ("prepare --input nowhere.csv --user a --item b", "there is no file nowhere.csv"),
        ("prepare --input log.csv --item item", "the column that holds the user ids"),
        (
            "prepare --input log.csv --user user --item itme",
            "log.csv has no column `itme`: did you mean `item`? (there are: user, item, time)",
        ),
        ("prepare --input d --format csv", "there is no file d"),
        (
            "prepare --input log.csv --user user --item item --split time",
            "a split by time or cut needs validation_from and test_from",
        ),
        (
            "prepare --input log.csv --user user --item item --split hash --seed 3",
            "the split's seed is for a split by seed only",
        ),
        (
            "prepare --input log.csv --format sequences --time time",
            "the formats user-item and sequences have no columns: leave `time` out",
        ),
        (
            "prepare --input log.csv --user user --item item --split given",
            "a given split needs the files that test: give --test-input FILE",
        ),
        (
            "prepare --input log.csv --test-input later.csv --user user --item item",
            "files that test (--test-input) are for a given split",
        ),
        (
            "prepare --input log.csv --user user --item item --split days --test-days 1",
            "a split by time needs a log with times: give --time COLUMN",
        ),
        (
            "prepare --input log.csv --user user --item item --time time --split days",
            "a split by days needs test_days",
        ),
        (
            "prepare --input log.csv --user user --item item --validation-share 0.1",
            "the split's event and validation_share are for a split by days or a given one",
        ),
        (
            "prepare --input log.csv --user user --item item --min-item-count 0",
            "min_item_count and min_user_count are at least 1",
        ),
    ] {
        let said = place.fails(arguments, 2);
        assert!(said.starts_with(expected), "{arguments}: {said}");
    }
    // These are refused by the parser of the command line, in its own several lines.
    for arguments in ["prepare --keep x", "prepare --separator ab", "generate --preset demo"] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments}");
    }
}

#[test]
fn a_generated_log_is_the_same_for_the_same_seed_and_can_be_prepared() {
    let place = Place::new();
    for (name, seed) in [("a.csv", 1), ("b.csv", 1), ("c.csv", 2)] {
        place.succeeds(&format!("generate --preset demo --out {name} --seed {seed}"));
    }
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(read("a.csv"), read("b.csv"));
    assert_ne!(read("a.csv"), read("c.csv"));
    let said = place.succeeds(&format!("prepare --input a.csv {TABLE}"));
    assert_eq!((row(&said, "users  "), row(&said, "items  ")), ("2,000", "1,000"));
    let said = place.fails("generate --preset demo --out a.csv/b.csv", 1);
    assert!(said.starts_with("cannot make the folder a.csv"), "{said}");
}
