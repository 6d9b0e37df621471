//! `compare` from outside: by which protocols runs are measured, and what they find of cold items.

mod common;

use std::fs;

use common::{Place, SESSIONS, json};
use serde_json::{Value, json};

fn train(place: &Place, config: &str, out: &str, seed: &str) -> String {
    place.ok(&["train", config, "--out", out, "--set", &format!("seed={seed}")])
}

fn protocol(place: &Place, run: &str) -> String {
    json(&place.path(run).join("result.json"))["protocol"].as_str().unwrap().to_owned()
}

#[test]
fn the_protocol_is_said_once_where_runs_share_it_and_wherever_figures_are() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SESSIONS).unwrap();
    let of_users = train(&place, "c.toml", "a", "1");
    train(&place, "c.toml", "b", "2");
    let of_sessions = train(&place, "s.toml", "s", "1");
    let (users, sessions) = (protocol(&place, "a"), protocol(&place, "s"));
    assert!(users.starts_with("holdout: ") && protocol(&place, "b") == users);
    // The tower reads five items.
    assert!(sessions.starts_with("positions: ") && sessions.contains("at most the latest 5,"));

    let lines = |said: &str| said.lines().map(str::to_owned).collect::<Vec<_>>();
    let alike = lines(&place.ok(&["compare", "a", "b"]));
    assert_eq!(alike[..2], [users.clone(), String::new()]);
    assert_eq!(alike.iter().filter(|line| **line == users).count(), 1);
    let unlike = lines(&place.ok(&["compare", "a", "s"]));
    assert_eq!(unlike[..3], [format!("a: {users}"), format!("s: {sessions}"), String::new()]);

    let baseline = |more: &[&str]| {
        place.ok(&[&["baseline", "data", "--only", "popularity", "--at", "10"], more].concat())
    };
    let positions = ["--protocol", "positions"];
    for (said, words) in [
        (&of_users, &users),
        (&of_sessions, &sessions),
        (&place.ok(&["evaluate", "a"]), &users),
        (&place.ok(&["evaluate", "s"]), &sessions),
        (&baseline(&[]), &users),
        (&baseline(&[&positions[..], &["--history", "5"]].concat()), &sessions),
        (&baseline(&positions), &sessions.replace(", at most the latest 5", "")),
    ] {
        let lines = lines(said);
        let counted = lines.iter().position(|line| line.contains(" users of the test part, "));
        assert_eq!(lines[counted.unwrap() + 1], *words, "{said}");
    }
}

#[test]
fn what_runs_find_of_cold_items_stands_beside_their_other_figures() {
    let place = Place::new();
    train(&place, "c.toml", "warm", "1");
    train(&place, "c.toml", "both", "2");
    let parsed = |said: String| -> Vec<Value> { serde_json::from_str(&said).unwrap() };
    let compared = ["compare", "warm", "both"];
    let as_json = [&compared[..], &["--json"]].concat();
    assert!(!place.ok(&compared).contains("cold"));
    assert!(parsed(place.ok(&as_json)).iter().all(|row| row.get("cold").is_none()));

    let path = place.path("both/result.json");
    let mut result = json(&path);
    let (among_cold, among_all) =
        (json!({"10": 0.75, "50": 1.0}), json!({"10": 0.0625, "50": 0.25}));
    let cold = json!({"items": 7, "targets": 16, "among_cold": among_cold, "among_all": among_all});
    result["test_cold"] = cold.clone();
    fs::write(&path, result.to_string()).unwrap();
    let rows = parsed(place.ok(&as_json));
    assert_eq!((rows[0].get("cold"), &rows[1]["cold"]), (None, &cold));
    assert_eq!(rows[1]["metrics"], result["test"]);

    let said = place.ok(&compared);
    for (head, both) in [
        ("cold-recall among cold, %", ["75.00", "100.00"]),
        ("cold-recall among all, %", ["6.25", "25.00"]),
    ] {
        let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with(head)).collect();
        let words = |at: usize| lines[at].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(0)[words(0).len() - 2..], ["@10", "@50"], "{said}");
        assert_eq!(words(1), ["warm", "–", "–"], "{said}");
        assert_eq!(words(2), ["both", both[0], both[1]], "{said}");
        assert_eq!(lines[3], "", "{said}");
    }
}
