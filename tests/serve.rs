//! `serve` from outside: right answers, refusals, clients that misbehave, an orderly end.

mod common;
#[path = "common/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use common::Place;
use serde_json::{Value, json};
use server::{Scored, Server, answer, ask, connect, exported, head, original_ids, same, scored};

/// Histories of different lengths, and what the command line recommends for them.
fn expected(place: &Place, items: &[String]) -> Vec<(Vec<String>, Scored)> {
    let history = |n: usize| (0..n).map(|k| items[(n * 13 + k * 7) % 100].clone()).collect();
    let histories: Vec<Vec<String>> = (1..=30).map(history).collect();
    let lines: Vec<String> =
        histories.iter().map(|history| json!({"history": history}).to_string()).collect();
    fs::write(place.path("in.jsonl"), lines.join("\n")).unwrap();
    place.ok(&["recommend", "towers", "--input", "in.jsonl", "--top", "7", "--out", "out.jsonl"]);
    let text = fs::read_to_string(place.path("out.jsonl")).unwrap();
    let recommended = text.lines().map(|line| scored(&serde_json::from_str(line).unwrap()));
    histories.into_iter().zip(recommended).collect()
}

#[test]
fn answers_are_those_of_the_command_line_and_as_described() {
    let place = exported();
    let items = original_ids(&place);
    let expected = expected(&place, &items);
    let server = Server::start(&place, &["--max-top", "50"]);
    let histories: Vec<&Vec<String>> = expected.iter().map(|(history, _)| history).collect();
    let (status, answer) = server.post(json!({"histories": histories, "top": 7}));
    assert_eq!(status, 200);
    let answers = answer["recommendations"].as_array().unwrap();
    assert_eq!(answers.len(), expected.len());
    for (answer, (_, expected)) in answers.iter().zip(&expected) {
        assert!(same(&scored(answer), expected), "{answer} {expected:?}");
        assert_eq!(answer["unknown"], 0);
    }
    // Strangers, and a history of which nothing is known.
    let wish = json!({"histories": [["?", items[0]], ["?"], []], "exclude_seen": true});
    let (status, answer) = server.post(wish);
    assert_eq!((status, answer["recommendations"].as_array().unwrap().len()), (200, 3));
    let first = &answer["recommendations"][0];
    assert_eq!((&first["unknown"], scored(first).len()), (&json!(1), 10));
    assert!(scored(first).iter().all(|(item, _)| *item != items[0]));
    assert_eq!(answer["recommendations"][1]["error"], "its one item is not known");
    assert_eq!(answer["recommendations"][2]["error"], "the history is empty");
    assert_eq!(server.post(json!({"histories": []})), (200, json!({"recommendations": []})));
    // The line that is said at the start works, and numbers are ids.
    let (body, url) = server.example["curl -d '".len()..].split_once("' ").unwrap();
    assert_eq!(url, format!("http://{}/recommend\n", server.address));
    let (status, answer) = server.post(body);
    assert_eq!((status, scored(&answer["recommendations"][0]).len()), (200, 5), "{answer}");
    let (status, by_number) = server.post(json!({"histories": [[7, items[0], 8]]}));
    assert_eq!((status, &by_number["recommendations"][0]["unknown"]), (200, &json!(2)));
    assert_eq!(server.post(json!({"histories": [["7", items[0], "8"]]})), (200, by_number));

    assert_eq!(server.get("/healthz"), (200, "ok\n".into()));
    // A probe may ask for the head alone.
    let mut stream = connect(server.address).unwrap();
    stream.write_all(head("HEAD", "/healthz", 0).as_bytes()).unwrap();
    let mut probed = String::new();
    stream.read_to_string(&mut probed).unwrap();
    assert!(probed.starts_with("HTTP/1.1 200 ") && probed.ends_with("\r\n\r\n"), "{probed}");
    assert_eq!(server.get("/elsewhere").0, 404);
    assert_eq!(server.get("/recommend").0, 405);
    assert_eq!(ask(server.address, "POST", "/metrics", b"").unwrap().0, 405);
    let (status, text) = server.get("/openapi.json");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/healthz", "/metrics", "/openapi.json", "/recommend", "/reload"]);
    assert_eq!(document["components"]["schemas"]["Wish"]["properties"]["top"]["maximum"], 50);
    assert_eq!(server.metric("croloss_requests_total{path=\"/recommend\",status=\"200\"}"), 6);
    assert_eq!(server.metric("croloss_histories_total"), 34);
    assert_eq!(server.metric("croloss_unknown_items_total"), 6);
    assert_eq!(server.metric("croloss_in_flight"), 1);
}

#[test]
fn an_index_and_filters_are_served() {
    let place = exported();
    let items = original_ids(&place);
    place.ok(&["index", "towers"]);
    fs::write(place.path("deny"), items[..50].join("\n")).unwrap();
    let server = Server::start(&place, &["--index", "--deny", "deny"]);
    let (status, answer) = server.post(json!({"histories": [[items[3]]], "top": 20}));
    let found = scored(&answer["recommendations"][0]);
    assert_eq!((status, found.len()), (200, 20));
    assert!(found.iter().all(|(item, _)| !items[..50].contains(item)));
    assert!(found.is_sorted_by(|a, b| a.1 >= b.1));
}

/// Bodies that are refused, with status and a word of the error.
fn refused() -> Vec<(String, u16, &'static str)> {
    vec![
        ("{\"histories\": [[\"a\"".into(), 400, "EOF"),
        ("not json".into(), 400, "expected"),
        (json!({"histories": [["a"]], "top": -1}).to_string(), 400, "top"),
        (json!({"histories": [["a"]], "top": 0}).to_string(), 400, "top"),
        (json!({"histories": [["a"]], "top": 51}).to_string(), 400, "1..=50"),
        (json!({"histories": [[1.5, 2]]}).to_string(), 400, "histories[0][0]"),
        (json!({"histories": [[null]]}).to_string(), 400, "histories[0][0]"),
        (json!({"histories": [{"a": 1}]}).to_string(), 400, "histories[0]"),
        (json!({"histories": vec![["a"]; 41]}).to_string(), 400, "at most 40"),
        (json!({"histories": [vec!["a"; 31]]}).to_string(), 400, "at most 30"),
        ("{\"histories\": \u{fffd}".replace('\u{fffd}', "\0"), 400, "expected"),
        ("x".repeat(20_001), 413, "20000"),
        ("x".repeat(3_000_000), 413, "20000"),
    ]
}

const LIMITS: [&str; 8] =
    ["--max-top", "50", "--max-histories", "40", "--max-history", "30", "--max-body", "20000"];

#[test]
fn sixty_four_clients_good_and_bad_all_get_their_answer() {
    let place = exported();
    let items = original_ids(&place);
    let expected = expected(&place, &items);
    let server = Server::start(&place, &LIMITS);
    let refused = refused();
    let client = |number: usize| {
        for round in 0..12 {
            let (history, recommended) = &expected[(number + round) % expected.len()];
            let (status, answer) = server.post(json!({"histories": [history], "top": 7}));
            assert_eq!(status, 200);
            assert!(same(&scored(&answer["recommendations"][0]), recommended));
            let (body, expected, word) = &refused[(number + round) % refused.len()];
            let (status, answer) = server.post(body);
            assert_eq!(status, *expected, "{answer}");
            assert!(answer["error"].as_str().unwrap().contains(word), "{word}: {answer}");
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..64).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    assert_eq!(server.metric("croloss_requests_total{path=\"/recommend\",status=\"200\"}"), 768);
    // Nothing that was sent has made a thread panic.
    server.signal(libc::SIGTERM);
    assert_eq!(server.ended(), (Some(0), String::new()));
}

#[test]
fn clients_that_hang_hold_nobody_up_and_are_cut_off() {
    let place = exported();
    let items = original_ids(&place);
    let server = Server::start(&place, &["--timeout", "2"]);
    let start = Instant::now();
    let silent: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    let mut half_head = server.connect();
    half_head.write_all(b"POST /recommend HTTP/1.1\r\nhost:").unwrap();
    let mut half_body = server.connect();
    half_body.write_all(head("POST", "/recommend", 100).as_bytes()).unwrap();
    half_body.write_all(b"{\"histories\"").unwrap();
    let (status, _) = server.post(json!({"histories": [[items[0]]]}));
    assert_eq!(status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "others wait: {:?}", start.elapsed());
    let (status, text) = answer(&mut half_body).unwrap();
    assert_eq!(status, 408, "{text}");
    for mut stream in silent.into_iter().chain([half_head]) {
        // Closed, with or without a word.
        let mut rest = vec![];
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("200"));
    }
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn a_client_that_reads_no_answer_does_not_keep_the_service_from_ending() {
    let place = exported();
    let items = original_ids(&place);
    let server = Server::start(&place, &["--timeout", "2"]);
    let body = json!({"histories": vec![[&items[0]]; 256], "top": 300}).to_string();
    let request = head("POST", "/recommend", body.len()).replace("connection: close\r\n", "");
    let mut deaf = server.connect();
    // Answers of some megabytes each: more than the system holds for a client.
    for _ in 0..8 {
        deaf.write_all((request.clone() + &body).as_bytes()).unwrap();
    }
    thread::sleep(Duration::from_secs(1));
    let (status, _) = server.post(json!({"histories": [[items[0]]]}));
    assert_eq!(status, 200);
    let start = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.ended(), (Some(0), String::new()));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn sigterm_in_mid_load_loses_no_accepted_request() {
    let place = exported();
    let items = original_ids(&place);
    let expected = expected(&place, &items);
    let server = Server::start(&place, &[]);
    // Requests that the service has begun to read when the signal comes.
    let bodies: Vec<String> = expected
        .iter()
        .map(|(history, _)| json!({"histories": [history], "top": 7}).to_string())
        .collect();
    let mut begun: Vec<TcpStream> = bodies
        .iter()
        .map(|body| {
            let mut stream = server.connect();
            stream.write_all(head("POST", "/recommend", body.len()).as_bytes()).unwrap();
            stream.write_all(&body.as_bytes()[..body.len() - 1]).unwrap();
            stream
        })
        .collect();
    while server.metric("croloss_in_flight") < begun.len() as u64 + 1 {
        thread::sleep(Duration::from_millis(10));
    }
    let (address, gone, answered) = (server.address, AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..64 {
            let (expected, gone, answered) = (&expected, &gone, &answered);
            scope.spawn(move || {
                for round in number.. {
                    let (history, recommended) = &expected[round % expected.len()];
                    let body = json!({"histories": [history], "top": 7}).to_string();
                    // Either a whole, right answer or none at all.
                    let Some((status, text)) = ask(address, "POST", "/recommend", body.as_bytes())
                    else {
                        gone.store(true, Relaxed);
                        return;
                    };
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(status, 200, "{answer}");
                    assert!(same(&scored(&answer["recommendations"][0]), recommended));
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        while answered.load(Relaxed) < 200 {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!gone.load(Relaxed), "answered before the signal");
        server.signal(libc::SIGTERM);
    });
    // All clients have been turned away; what was begun is still answered.
    assert!(connect(address).is_err());
    for ((stream, body), (_, recommended)) in begun.iter_mut().zip(&bodies).zip(&expected) {
        stream.write_all(&body.as_bytes()[body.len() - 1..]).unwrap();
        let (status, text) = answer(stream).expect("an answer");
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(same(&scored(&answer["recommendations"][0]), recommended));
    }
    assert_eq!(server.ended(), (Some(0), String::new()));
}

#[test]
fn what_cannot_be_served_is_refused() {
    let place = exported();
    let server = Server::start(&place, &[]);
    let taken = server.address.to_string();
    place.refused(&["serve", "towers", "--listen", &taken], 1, &["cannot listen on", &taken]);
    place.refused(&["serve", "towers", "--index"], 1, &["index.json"]);
    place.refused(&["serve", "run"], 1, &["not an export"]);
    let statuses: BTreeMap<&str, u16> =
        ["/healthz", "/metrics"].into_iter().map(|path| (path, server.get(path).0)).collect();
    assert!(statuses.values().all(|status| *status == 200));
    server.signal(libc::SIGINT);
    assert_eq!(server.ended(), (Some(0), String::new()));
}
