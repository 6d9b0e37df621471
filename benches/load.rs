//! Requests a second and latency of `croloss serve`, from clients that each send their next request
//! when the last is answered:
//!
//! `cargo bench --bench load -- ADDRESS EXPORT CLIENTS SECONDS TOP HISTORIES`
//!
//! Histories are 20 items drawn from EXPORT by popularity; HISTORIES go into each request. The
//! first fifth of the time is warm-up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use croloss::export::Export;
use croloss::random::{Purpose, stream};
use rand::RngExt;
use serde_json::json;

/// Items of a history.
const LENGTH: usize = 20;

/// Different bodies that a client sends in turn.
const BODIES: usize = 256;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [address, export, numbers @ ..] = &given[..] else {
        eprintln!("usage: ADDRESS EXPORT CLIENTS SECONDS TOP HISTORIES");
        return;
    };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().expect("a whole number")).collect();
    let [clients, seconds, top, histories] = numbers[..] else { panic!("four numbers") };
    let items = Export::open(Path::new(export)).unwrap().items().unwrap();
    let mut ends: Vec<u64> = vec![];
    for item in &items {
        ends.push(ends.last().unwrap_or(&0) + item.count);
    }
    let all = *ends.last().unwrap();
    let client = |number: usize| {
        let mut rng = stream(1, Purpose::Queries, 1 + number as u64);
        let mut item = || &items[ends.partition_point(|end| *end <= rng.random_range(0..all))];
        let mut history = || (0..LENGTH).map(|_| &*item().original).collect::<Vec<_>>();
        let mut body = || {
            let histories: Vec<_> = (0..histories).map(|_| history()).collect();
            json!({"histories": histories, "top": top}).to_string()
        };
        let bodies: Vec<String> = (0..BODIES).map(|_| body()).collect();
        let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
        connection.get_ref().set_nodelay(true).unwrap();
        let start = Instant::now();
        let end = Duration::from_secs_f64(seconds as f64);
        let mut took = vec![];
        for body in bodies.iter().cycle() {
            let sent = Instant::now();
            if start.elapsed() >= end {
                break;
            }
            ask(&mut connection, address, body);
            if start.elapsed() >= end / 5 {
                took.push(sent.elapsed());
            }
        }
        took
    };
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = took.len() as f64 / (0.8 * seconds as f64);
    println!(
        "{} items, {clients} clients, {histories} histories a request, top {top}: {rate:.0} requests/s, \
         p50 {:.2} ms, p99 {:.2} ms",
        items.len(),
        at(0.5),
        at(0.99)
    );
}

/// One request and its whole answer, which must be 200.
fn ask(connection: &mut BufReader<TcpStream>, address: &str, body: &str) {
    let head = format!(
        "POST /recommend HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.get_mut().write_all((head + body).as_bytes()).unwrap();
    let (mut length, mut line) = (0, String::new());
    for number in 0.. {
        line.clear();
        connection.read_line(&mut line).unwrap();
        assert!(number > 0 || line.contains("200"), "{line}");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
}
