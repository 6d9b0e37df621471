//! The service under load, its export replaced and loaded anew every few seconds.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Place;
use crate::length;
use crate::memory::{Samples, of_process};
use crate::server::{Scored, Server, ask, original_ids, same, scored};

const CLIENTS: usize = 16;
const HISTORIES: usize = 60;

/// Histories in a request: from a mixture of exports some would be answered by either.
const IN_REQUEST: usize = 5;

/// Between two exports.
const PAUSE: Duration = Duration::from_secs(3);

/// What each of two exports recommends for the same histories.
struct Answers {
    histories: Vec<Vec<String>>,
    of: [Vec<Scored>; 2],
}

impl Answers {
    fn new(place: &Place) -> Self {
        let items = original_ids(place);
        let item = |n: usize, k: usize| items[(n * 13 + k * 7) % 100].clone();
        let history = |n: usize| (0..1 + n % 20).map(|k| item(n, k)).collect();
        let histories: Vec<Vec<String>> = (0..HISTORIES).map(history).collect();
        let lines = histories.iter().map(|own| json!({"history": own}).to_string() + "\n");
        fs::write(place.path("in.jsonl"), lines.collect::<String>()).unwrap();
        let of = [0, 1].map(|which| {
            export(place, which);
            let call = ["recommend", "towers", "--input", "in.jsonl", "--top", "7", "--force"];
            place.ok(&[&call[..], &["--out", "out.jsonl"]].concat());
            let text = fs::read_to_string(place.path("out.jsonl")).unwrap();
            text.lines().map(|line| scored(&serde_json::from_str(line).unwrap())).collect()
        });
        let answers = Self { histories, of };
        let differ = |n: usize| !same(&answers.of[0][n], &answers.of[1][n]);
        assert!((0..HISTORIES).all(differ), "the two exports answer alike");
        answers
    }

    fn body(&self, first: usize) -> String {
        let histories: Vec<_> =
            (0..IN_REQUEST).map(|n| &self.histories[(first + n) % HISTORIES]).collect();
        json!({"histories": histories, "top": 7}).to_string()
    }

    /// Which export alone gave the answer to `body(first)`.
    fn which(&self, first: usize, answer: &str) -> usize {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let given = answer["recommendations"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(given.len(), IN_REQUEST);
        let alike = |which: usize| {
            let own = |n: usize| &self.of[which][(first + n) % HISTORIES];
            given.iter().enumerate().all(|(n, given)| same(&scored(given), own(n)))
        };
        (0..2).find(|which| alike(*which)).unwrap_or_else(|| panic!("of neither: {answer}"))
    }
}

fn export(place: &Place, which: usize) {
    place.ok(&["export", ["a", "b"][which], "--out", "towers", "--force"]);
}

/// A connection on which one request follows the other.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(crate::server::connect(address).unwrap()))
    }

    fn ask(&mut self, body: &str) -> (u16, String) {
        let head = format!(
            "POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all((head + body).as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection was closed");
            let line = line.trim_end();
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// Replaces the export and has it loaded, by signal and by request in turn; how often.
fn replace(place: &Place, server: &Server, answers: &Answers, over: &AtomicBool) -> usize {
    for turn in 0.. {
        if over.load(Relaxed) {
            return turn;
        }
        let which = turn % 2;
        export(place, which);
        let answered = || {
            let body = answers.body(turn);
            let (status, answer) =
                ask(server.address, "POST", "/recommend", body.as_bytes()).expect("an answer");
            assert_eq!(status, 200, "{answer}");
            answers.which(turn, &answer)
        };
        if turn / 2 % 2 == 0 {
            let (status, said) = ask(server.address, "POST", "/reload", b"").expect("an answer");
            assert_eq!(status, 200, "{said}");
            assert_eq!(answered(), which, "what was loaded is not served");
        } else {
            server.signal(libc::SIGHUP);
            let patience = Instant::now();
            while answered() != which {
                assert!(patience.elapsed() < Duration::from_secs(60), "SIGHUP loads nothing");
                sleep(Duration::from_millis(50));
            }
        }
        sleep(PAUSE);
    }
    unreachable!()
}

#[test]
#[ignore = "takes half an hour: make soak"]
fn the_service_under_load_answers_rightly_while_its_export_is_replaced() {
    let place = Place::new();
    for (out, seed) in [("a", "seed=1"), ("b", "seed=2")] {
        place.ok(&["train", "c.toml", "--out", out, "--set", seed]);
    }
    let answers = Answers::new(&place);
    let server = Server::start(&place, &[]);
    let over = AtomicBool::new(false);
    let asked = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let mut memory = Samples::default();
    let client = |number: usize| {
        let mut kept = Kept::new(server.address);
        for turn in number.. {
            if over.load(Relaxed) {
                return;
            }
            let body = answers.body(turn);
            // On a connection of its own every third time.
            let (status, answer) = match turn % 3 {
                0 => ask(server.address, "POST", "/recommend", body.as_bytes()).expect("an answer"),
                _ => kept.ask(&body),
            };
            assert_eq!(status, 200, "{answer}");
            asked[answers.which(turn, &answer)].fetch_add(1, Relaxed);
        }
    };
    let replaced = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = &client;
                scope.spawn(move || client(number))
            })
            .collect();
        let replacing = scope.spawn(|| replace(&place, &server, &answers, &over));
        let start = Instant::now();
        let broken = || clients.iter().any(|client| client.is_finished());
        while start.elapsed() < length() && !broken() && !replacing.is_finished() {
            sleep(length() / 300);
            memory.add(of_process(server.id(), "VmRSS"));
        }
        over.store(true, Relaxed);
        replacing.join().unwrap()
    });
    let [a, b] = asked.map(AtomicUsize::into_inner);
    eprintln!(
        "service: {:.0} minutes, {} requests of {CLIENTS} clients answered ({a} by one export, {b} by \
         the other), {replaced} times replaced; memory: {}",
        length().as_secs_f64() / 60.0,
        a + b,
        memory.told()
    );
    assert!(a > 0 && b > 0);
    assert!(memory.are_flat(), "{}", memory.told());
    server.signal(libc::SIGTERM);
    assert_eq!(server.ended().0, Some(0));
}
