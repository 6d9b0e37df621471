//! `serve` from outside, where clients are many or strange, and where the export is replaced.

mod common;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use common::Place;
use serde_json::{Value, json};
use server::{Scored, Server, answer, ask, connect, exported, head, original_ids, same, scored};

fn request(item: &str, close: bool) -> String {
    let body = json!({"histories": [[item]], "top": 3}).to_string();
    let head = head("POST", "/recommend", body.len());
    let head = if close { head } else { head.replace("connection: close\r\n", "") };
    head + &body
}

/// Reads one answer of a connection that stays open.
fn one(stream: &mut TcpStream) -> Value {
    let mut bytes = vec![];
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend(&piece[..read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(value) = serde_json::from_str(body)
        {
            return value;
        }
    }
}

#[test]
fn requests_that_lie_unread_when_sigterm_comes_are_answered() {
    let place = exported();
    let items = original_ids(&place);
    let server = Server::start(&place, &[]);
    let mut kept: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut kept {
        stream.write_all(request(&items[0], false).as_bytes()).unwrap();
        assert_eq!(scored(&one(stream)["recommendations"][0]).len(), 3);
    }
    let mut silent = server.connect();
    server.signal(libc::SIGSTOP);
    let mut new: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in kept.iter_mut().chain(&mut new) {
        stream.write_all(request(&items[0], true).as_bytes()).unwrap();
    }
    server.signal(libc::SIGTERM);
    server.signal(libc::SIGCONT);
    for stream in kept.iter_mut().chain(&mut new) {
        let (status, text) = answer(stream).expect("an answer");
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(server.ended(), (Some(0), String::new()));
}

#[test]
fn as_many_may_wait_to_be_accepted_as_are_promised() {
    let place = exported();
    let server = Server::start(&place, &[]);
    server.signal(libc::SIGSTOP);
    let wait = Duration::from_secs(2);
    let all: Result<Vec<TcpStream>, _> =
        (0..400).map(|_| TcpStream::connect_timeout(&server.address, wait)).collect();
    server.signal(libc::SIGCONT);
    assert!(all.is_ok(), "{all:?}");
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn what_is_no_http_is_told_so_in_json() {
    let place = exported();
    let server = Server::start(&place, &[]);
    let long = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    for (sent, wanted) in [("not http\r\n\r\n", 400), (&long, 431), (&many, 431)] {
        let mut stream = server.connect();
        let _ = stream.write_all(sent.as_bytes());
        let mut bytes = vec![];
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect(&text);
        assert!(head.starts_with(&format!("HTTP/1.1 {wanted}")), "{head}");
        assert!(head.contains("application/json") && head.contains("connection: close"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["error"].is_string(), "{body}");
    }
}

#[test]
fn limits_have_their_own_limits() {
    let place = exported();
    for (limit, value) in [
        ("--max-connections", "18446744073709551615"),
        ("--max-connections", "0"),
        ("--max-body", "18446744073709551615"),
        ("--max-top", "0"),
        ("--max-histories", "0"),
        ("--max-history", "0"),
    ] {
        let run = place.command(&["serve", "towers", limit, value]).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains(limit), "{said}");
    }
}

/// The memory that a process holds, in MiB.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[test]
fn clients_that_read_nothing_cost_little() {
    let place = exported();
    let items = original_ids(&place);
    let server = Server::start(&place, &["--timeout", "4"]);
    let body = json!({"histories": vec![[&items[0]]; 256], "top": 300}).to_string();
    let (status, whole) = server.post(&body);
    assert_eq!((status, whole["recommendations"].as_array().unwrap().len()), (200, 256));
    let before = memory(server.id());
    let request = head("POST", "/recommend", body.len()).replace("connection: close\r\n", "");
    let request = (request + &body).repeat(4);
    // Together far more than may wait.
    let mut deaf: Vec<TcpStream> = (0..150).map(|_| server.connect()).collect();
    for stream in &mut deaf {
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write_all(request.as_bytes());
    }
    let mut most = 0;
    for _ in 0..15 {
        thread::sleep(Duration::from_millis(200));
        most = most.max(memory(server.id()));
        // Others go on meanwhile.
        assert_eq!(server.post(json!({"histories": [[items[0]]]})).0, 200);
    }
    // 256 MiB may wait, and what is freed does not go back to the system at once.
    assert!(most < before + 512, "{before} MiB, then {most} MiB");
}

/// Scores of `history` by the export in `folder`.
fn by(place: &Place, folder: &str, history: &str) -> Scored {
    fs::write(place.path("in.jsonl"), json!({"history": [history]}).to_string()).unwrap();
    let command = ["recommend", folder, "--input", "in.jsonl", "--top", "7", "--out", "o.jsonl"];
    place.ok(&[&command[..], &["--force"]].concat());
    scored(&serde_json::from_str(&fs::read_to_string(place.path("o.jsonl")).unwrap()).unwrap())
}

#[test]
fn a_new_export_is_served_without_a_request_lost_or_answered_from_two() {
    let place = exported();
    let items = original_ids(&place);
    place.ok(&["train", "c.toml", "--out", "next", "--set", "train.steps=60", "--set", "seed=9"]);
    place.ok(&["export", "next", "--out", "newer"]);
    let all: Vec<(String, [Scored; 2])> = items[..8]
        .iter()
        .map(|item| (item.clone(), ["towers", "newer"].map(|folder| by(&place, folder, item))))
        .collect();
    assert!(all.iter().all(|(_, [old, new])| !same(old, new)));
    let server = Server::start(&place, &[]);
    let address = server.address;
    let end = AtomicBool::new(false);
    let asked = |item: &str| {
        let body = json!({"histories": [[item]], "top": 7}).to_string();
        let (status, text) = ask(address, "POST", "/recommend", body.as_bytes()).expect("lost");
        assert_eq!(status, 200, "{text}");
        scored(&serde_json::from_str::<Value>(&text).unwrap()["recommendations"][0])
    };
    thread::scope(|scope| {
        for client in 0..8 {
            let (all, end, asked) = (&all, &end, &asked);
            scope.spawn(move || {
                let mut seen_new = false;
                for round in client.. {
                    let (item, [old, new]) = &all[round % all.len()];
                    let found = asked(item);
                    let is_new = same(&found, new);
                    assert!(is_new || (same(&found, old) && !seen_new), "{found:?}");
                    seen_new |= is_new;
                    if end.load(Relaxed) {
                        assert!(seen_new);
                        return;
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        place.ok(&["export", "next", "--out", "towers", "--force"]);
        thread::sleep(Duration::from_millis(200));
        assert!(same(&asked(&items[0]), &all[0].1[0]), "not before it is asked for");
        server.signal(libc::SIGHUP);
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(50));
            if same(&asked(&items[0]), &all[0].1[1]) {
                break;
            }
        }
        end.store(true, Relaxed);
    });
    // Over HTTP: what cannot be loaded leaves all as it is.
    fs::rename(place.path("towers/items.parquet"), place.path("kept")).unwrap();
    let (status, text) = ask(address, "POST", "/reload", b"").unwrap();
    assert_eq!(status, 500, "{text}");
    assert!(text.contains("items.parquet") && text.contains("served on"), "{text}");
    assert!(same(&asked(&items[0]), &all[0].1[1]));
    fs::rename(place.path("kept"), place.path("towers/items.parquet")).unwrap();
    let (status, text) = ask(address, "POST", "/reload", b"").unwrap();
    assert_eq!((status, text), (200, format!("{{\"items\":{}}}", items.len())));
    assert_eq!(server.get("/reload").0, 405);
    server.signal(libc::SIGTERM);
    let (status, said) = server.ended();
    assert_eq!(status, Some(0));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.ends_with("items are served now\n"), "{said}");
}

#[test]
fn who_may_have_an_export_loaded_anew() {
    let place = exported();
    fs::write(place.path("token"), "secret\n").unwrap();
    let with = |server: &Server, header: &str| {
        let mut stream = connect(server.address).unwrap();
        let head =
            head("POST", "/reload", 0).replace("host: x\r\n", &format!("host: x\r\n{header}"));
        stream.write_all(head.as_bytes()).unwrap();
        answer(&mut stream).unwrap().0
    };
    let open = Server::start(&place, &[]);
    let statuses =
        ["", "x-forwarded-for: 1.2.3.4\r\n", "origin: http://x\r\n"].map(|h| with(&open, h));
    assert_eq!(statuses, [200, 403, 403]);
    let closed = Server::start(&place, &["--reload-token", "token"]);
    let headers = ["", "authorization: Bearer secret\r\n", "authorization: Bearer no\r\n"];
    assert_eq!(headers.map(|h| with(&closed, h)), [403, 200, 403]);
    fs::write(place.path("token"), " \n").unwrap();
    place.refused(&["serve", "towers", "--reload-token", "token"], 2, &["holds no token"]);
}
