//! `croloss prepare` from outside: whose files it leaves alone, and what it does not guess at.

#[path = "common/logs.rs"]
mod logs;

use std::fs;

use logs::{Place, TABLE, log};

#[test]
fn force_removes_no_file_that_prepare_did_not_write() {
    let place = Place::new();
    place.put("log.csv", log());
    let command = format!("prepare --input log.csv {TABLE} --out data/d --force");
    place.succeeds(&command);
    for (name, words) in [("data/d/log.csv", "it holds log.csv"), ("data/d/items.parquet", "")] {
        let own = fs::read(place.path(name)).ok();
        place.put(name, log());
        let said = place.fails(&command.replace("log.csv", name), 2);
        assert!(said.contains("data/d") && said.contains(words), "{said}");
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), log());
        let _ = own.map_or_else(
            || fs::remove_file(place.path(name)),
            |own| fs::write(place.path(name), own),
        );
    }
    // A link is not replaced: what it leads to is.
    std::os::unix::fs::symlink("d", place.path("data/link")).unwrap();
    place.succeeds(&command.replace("data/d", "data/link"));
    assert!(place.path("data/link").is_symlink());
}

#[test]
fn a_folder_is_prepared_by_one_process_at_a_time_and_the_next_is_told() {
    let place = Place::new();
    place.put("log.csv", log());
    let out = place.path("data/d");
    let claim = croloss::folders::Claim::new(&out, false, &croloss::data::Dataset::FOLDER).unwrap();
    let command = format!("prepare --input log.csv {TABLE} --out data/d");
    let said = place.fails(&command, 2);
    assert!(said.starts_with("data/d is being written by another process"), "{said}");
    drop(claim);
    place.succeeds(&command);
    assert_eq!(fs::read_dir(place.path("data")).unwrap().count(), 1);
}

#[test]
fn a_name_does_not_lead_out_of_the_folder_of_data() {
    let place = Place::new();
    place.put("log.csv", log());
    for name in ["../../x", "/tmp/x", "..", "a/b"] {
        place.put("d.toml", format!("name = \"{name}\"\n"));
        let said = place.fails(&format!("prepare d.toml --input log.csv {TABLE}"), 2);
        assert!(said.contains(name) && said.contains("--out"), "{said}");
    }
    place.succeeds(&format!("prepare d.toml --input log.csv {TABLE} --out d"));
}

/// The items of user `u` in the order that is prepared.
fn order(place: &Place, log: &str) -> Vec<String> {
    place.succeeds(&format!(
        "prepare --input {log} {TABLE} --out d --min-item-count 1 --min-user-count 1 --split none --force"
    ));
    let dataset = croloss::data::Dataset::load(&place.path("d")).unwrap();
    let item = |id: &u32| dataset.items[*id as usize - 1].original.to_string();
    dataset.sequences.get(0).iter().map(item).collect()
}

#[test]
fn parts_of_a_second_order_events() {
    let place = Place::new();
    let tenths = [10, 9, 3, 4, 5, 8, 7, 6];
    let rows = |row: &dyn Fn(i32) -> String| tenths.map(row).concat();
    let number = |t: i32| format!("{}.{}", t / 10, t % 10);
    place.put(
        "n.csv",
        "user,item,time\n".to_owned() + &rows(&|t| format!("u,i{t},{}\n", number(t))),
    );
    let json = |t| format!("{{\"user\":\"u\",\"item\":\"i{t}\",\"time\":{}}}\n", number(t));
    place.put("n.jsonl", rows(&json));
    let date = |t| format!("u,i{t},2020-01-01T00:00:{:02}.{}Z\n", t / 10, t % 10);
    place.put("d.csv", "user,item,time\n".to_owned() + &rows(&date));
    let expected = [3, 4, 5, 6, 7, 8, 9, 10].map(|t| format!("i{t}"));
    for log in ["n.csv", "n.jsonl", "d.csv"] {
        assert_eq!(order(&place, log), expected, "{log}");
    }
}

#[test]
fn json_that_is_deep_double_or_no_text_is_refused_with_its_line() {
    let place = Place::new();
    let good = "{\"user\":1,\"item\":2,\"time\":3,\"verified\":true}\n";
    let deep = |key: &str| {
        let (open, close) = ("[".repeat(30_000), "]".repeat(30_000));
        format!("{{\"user\":1,\"item\":2,\"time\":3,\"{key}\":{open}{close}}}\n")
    };
    for (line, word) in [
        (deep("time"), "recursion limit"),
        ("{\"user\":1,\"item\":2,\"time\":3,\"item\":4}\n".into(), "`item` stands there twice"),
        ("{\"user\":1,\"item\":\"\\ud800\",\"time\":3}\n".into(), "this line is no JSON object"),
        ("{\"user\":1,\"item\":[2],\"time\":3}\n".into(), "sequence, expected text or a number"),
        ("{\"user\":{\"a\":1},\"item\":2,\"time\":3}\n".into(), "map, expected text or a number"),
    ] {
        place.put("log.jsonl", format!("{good}{line}"));
        let said = place.fails(&format!("prepare --input log.jsonl {TABLE} --out d"), 1);
        assert!(said.starts_with("log.jsonl:2: ") && said.contains(word), "{said}");
    }
    // What is not asked for may be anything.
    place.put("log.jsonl", format!("{}{}", good.repeat(6), deep("x")));
    place.succeeds(&format!("prepare --input log.jsonl {TABLE} --out d --split none"));
    place.put("log.jsonl", good.repeat(6));
    let keep = "--split none --keep verified=true";
    place.succeeds(&format!("prepare --input log.jsonl {TABLE} --out e {keep}"));
}

#[test]
fn a_file_that_is_given_twice_is_refused() {
    let place = Place::new();
    place.put("log.csv", "user,item,time\nu,i,1\n");
    let said =
        place.fails(&format!("prepare --input log.csv --input ./log.csv {TABLE} --out d"), 2);
    assert!(said.contains("./log.csv is given twice"), "{said}");
}

#[test]
fn a_column_that_is_there_twice_is_refused() {
    let place = Place::new();
    place.put("log.csv", "user,item,time,item\nu,i,1,j\n");
    let said = place.fails(&format!("prepare --input log.csv {TABLE} --out d"), 2);
    assert!(said.contains("two columns `item`"), "{said}");
    place.put("log.csv", "user,other,item,time,other\n".to_owned() + &"u,x,i,1,y\n".repeat(6));
    place.succeeds(&format!("prepare --input log.csv {TABLE} --out d --split none"));
}
