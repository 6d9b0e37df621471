//! `init` from outside: what it writes of a log is prepared and trained on, by the commands that it prints.

#[path = "common/logs.rs"]
mod logs;

use std::fs::{self, File};

use logs::Place;
use polars::prelude::*;

const USERS: usize = 80;
const STEPS: usize = 8;

/// Of each user the items, the latest first, and their times: whoever passes the times over has the
/// events the wrong way round.
fn events() -> Vec<(String, String, i64)> {
    let of = |user: usize| {
        let event = move |step: usize| {
            let item = format!("i{}", (user * 7 + step * 3) % 20);
            (format!("u{user}"), item, 1_300_000_000 - 100 * step as i64)
        };
        (0..STEPS).map(event)
    };
    (0..USERS).flat_map(of).collect()
}

/// A line an event.
fn lines(of: impl Fn(&(String, String, i64)) -> String) -> String {
    events().iter().map(|event| of(event) + "\n").collect()
}

/// A folder with the configuration to begin with, and a hand-made preparation of the events.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("configs")).unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/default.toml");
    fs::copy(config, place.path("configs/default.toml")).unwrap();
    place.put("known.csv", lines(|(user, item, time)| format!("{user},{item},{time}")));
    place.succeeds(
        "prepare --input known.csv --no-header --user 1 --item 2 --time 3 --out data/known",
    );
    place
}

fn manifest(place: &Place, name: &str) -> toml::Table {
    let path = place.path(&format!("data/{name}/dataset.toml"));
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Looks at a log, then prepares it and trains on it as `init` says. Each of `roles` is a column and
/// what it has to be taken for.
fn works(place: &Place, log: &str, roles: &[(&str, &str)]) -> String {
    let said = place.succeeds(&format!("init {log}"));
    for (column, role) in roles {
        let row = said.lines().find(|line| line.trim_start().starts_with(&format!("{column} ")));
        let row = row.unwrap_or_else(|| panic!("`{column}` is missing in: {said}"));
        let told = row.trim_start().strip_prefix(column).unwrap().split_whitespace().next();
        assert_eq!(told, Some(*role), "{said}");
    }
    let name = log.split('.').next().unwrap();
    let commands: Vec<&str> =
        said.lines().filter_map(|line| line.trim().strip_prefix("croloss ")).collect();
    let of = |what: &str| commands.iter().find(|line| line.starts_with(what)).unwrap().to_string();
    place.succeeds(&of("prepare "));
    place.succeeds(&of("baseline "));
    let short = "--set device=\"cpu\" --set train.epochs=2 --set tower.dim=16";
    place.succeeds(&format!("{} {short}", of("train ")));
    assert!(place.path(&format!("runs/{name}/result.json")).exists());
    said
}

/// The same events as those that were prepared by hand, in their order.
fn is_known(place: &Place, name: &str) {
    let [own, known] = [name, "known"].map(|name| manifest(place, name)["checksum"].clone());
    assert_eq!(own, known, "{name}");
}

#[test]
fn tables_are_prepared_by_the_names_of_their_columns() {
    let place = place();
    let rows = lines(|(user, item, time)| format!("{time},view,{user},{item}"));
    place.put("shop.csv", format!("timestamp,event,visitorid,itemid\n{rows}"));
    let roles = [("visitorid", "user"), ("itemid", "item"), ("timestamp", "time")];
    let said = works(&place, "shop.csv", &roles);
    assert!(said.starts_with("shop.csv: Comma-separated values"), "{said}");
    assert!(said.contains("u0, u0, u0") && said.contains("i0, i3, i6"), "{said}");
    assert!(said.contains("Written to shop.toml"), "{said}");
    is_known(&place, "shop");

    let column = |name: &str, of: fn(&(String, String, i64)) -> String| {
        Column::new(name.into(), events().iter().map(of).collect::<Vec<_>>())
    };
    let times: Vec<i64> = events().iter().map(|event| event.2).collect();
    let columns = vec![
        column("product_id", |event| event.1.clone()),
        Column::new("created_at".into(), times),
        column("customer", |event| event.0.clone()),
    ];
    let mut frame = DataFrame::new(USERS * STEPS, columns).unwrap();
    let file = File::create(place.path("orders.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
    let roles = [("customer", "user"), ("product_id", "item"), ("created_at", "time")];
    works(&place, "orders.parquet", &roles);
    is_known(&place, "orders");
}

#[test]
fn a_table_without_a_header_is_prepared_by_the_places_of_its_columns() {
    let place = place();
    place.put("u.tsv", lines(|(user, item, time)| format!("{user}\t{item}\t3\t{time}")));
    let said = works(&place, "u.tsv", &[("1", "user"), ("2", "item"), ("4", "time")]);
    assert!(said.contains("Its first line names no columns"), "{said}");
    is_known(&place, "u");
}

#[test]
fn json_lines_are_prepared_by_their_keys_and_those_of_events_in_lists() {
    let place = place();
    let line = |(user, item, time): &(String, String, i64)| {
        format!(
            r#"{{"reviewerID": "{user}", "asin": "{item}", "unixReviewTime": {time}, "helpful": [1, 2]}}"#
        )
    };
    place.put("reviews.json", lines(line));
    let roles = [("reviewerID", "user"), ("asin", "item"), ("unixReviewTime", "time")];
    works(&place, "reviews.json", &roles);
    is_known(&place, "reviews");

    let event = |(_, item, time): &(String, String, i64)| {
        format!(r#"{{"aid": "{item}", "ts": {time}, "type": "clicks"}}"#)
    };
    let session = |events: &[(String, String, i64)]| {
        let list: Vec<String> = events.iter().map(event).collect();
        format!("{{\"session\": \"{}\", \"events\": [{}]}}\n", events[0].0, list.join(", "))
    };
    place.put("otto.jsonl", events().chunks(STEPS).map(session).collect::<String>());
    let roles = [
        ("session", "user"),
        ("events", "events"),
        ("events: aid", "item"),
        ("events: ts", "time"),
    ];
    works(&place, "otto.jsonl", &roles);
    is_known(&place, "otto");
}

#[test]
fn lines_of_items_are_prepared_as_the_sequences_of_their_users() {
    let place = place();
    let line = |events: &[(String, String, i64)]| {
        let items: Vec<&str> = events.iter().rev().map(|event| event.1.as_str()).collect();
        items.join(" ") + "\n"
    };
    place.put("lists.txt", events().chunks(STEPS).map(line).collect::<String>());
    let said = works(&place, "lists.txt", &[]);
    assert!(said.starts_with("lists.txt: One user a line"), "{said}");
    let [counts, known] = ["lists", "known"].map(|name| manifest(&place, name)["counts"].clone());
    assert_eq!(counts, known);
    assert_eq!(counts["users"].as_integer(), Some(USERS as i64));
}

#[test]
fn nothing_is_replaced_without_force() {
    let place = Place::new();
    place.put("log.csv", "user,item\n1,2\n");
    place.put("log.toml", "mine");
    let said = place.fails("init log.csv", 2);
    assert!(said.contains("log.toml exists already") && said.contains("--force"), "{said}");
    assert_eq!(fs::read_to_string(place.path("log.toml")).unwrap(), "mine");
    place.succeeds("init log.csv --out other.toml");
    place.succeeds("init log.csv --force");
    let written = ["log.toml", "other.toml"].map(|name| fs::read(place.path(name)).unwrap());
    assert_eq!(written[0], written[1]);
}

#[test]
fn what_is_no_log_is_refused() {
    let place = Place::new();
    place.put("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    place.put("page.json", "{\n  \"a\": [1]\n}\n");
    place.put("list.json", "[{\"user\": 1, \"item\": 2}]\n");
    fs::create_dir(place.path("folder")).unwrap();
    for (log, word) in [
        ("picture.png", "picture.png is not UTF-8 text"),
        ("page.json", "page.json:1: not one JSON object a line"),
        ("list.json", "list.json:1: not one JSON object a line"),
        ("folder", "folder is a folder"),
        ("nowhere.csv", "there is no file nowhere.csv"),
    ] {
        let said = place.fails(&format!("init {log}"), 2);
        assert!(said.contains(word), "{said}");
    }
    place.put("empty.csv", "");
    assert!(place.fails("init empty.csv", 1).contains("holds no interactions"));
    place.put("cut.parquet", "PAR1");
    assert!(place.fails("init cut.parquet", 1).contains("cut.parquet"));
}

#[test]
fn what_cannot_be_guessed_is_left_to_be_filled_in() {
    let place = Place::new();
    place.put("log.csv", "a,b,when\n1,2,2020-01-01\n");
    let output = place.run("init log.csv");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("which column holds the users") && said.contains("in log.toml"),
        "{said}"
    );
    let text = fs::read_to_string(place.path("log.toml")).unwrap();
    assert!(text.contains("# user = \"COLUMN\"") && text.contains("time = \"when\""), "{text}");
    let filled = text.replace("# user = \"COLUMN\"", "user = \"a\"");
    place.put("log.toml", filled.replace("# item = \"COLUMN\"", "item = \"b\""));
    let said = place.fails("prepare log.toml", 1);
    assert!(!said.contains("COLUMN") && !said.contains("key"), "{said}");
}
