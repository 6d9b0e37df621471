//! A running service, and its clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use croloss::data::Dataset;
use serde_json::Value;

use crate::common::Place;

/// An export of a model trained for a moment.
pub fn exported() -> Place {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    place.ok(&["export", "run", "--out", "towers"]);
    place
}

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The command that the server says at its start.
    #[allow(dead_code)]
    pub example: String,
}

impl Server {
    pub fn start(place: &Place, more: &[&str]) -> Self {
        let command = ["serve", "towers", "--listen", "127.0.0.1:0"];
        Self::of(place.command(&[&command[..], more].concat()))
    }

    /// The one that a command starts.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut line, mut example) = (String::new(), String::new());
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        said.read_line(&mut example).unwrap();
        let address = line.trim().split("http://").nth(1).expect(&line).parse().unwrap();
        Self { child, address, example }
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address).unwrap()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        ask(self.address, "GET", path, b"").unwrap()
    }

    pub fn post(&self, body: impl ToString) -> (u16, Value) {
        let (status, text) =
            ask(self.address, "POST", "/recommend", body.to_string().as_bytes()).unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    #[allow(dead_code)]
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().unwrap()
    }

    /// Of the process.
    #[allow(dead_code)] // Not every test file asks for all.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits for the end; the exit status and what was said on standard error.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

pub fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A request on a connection of its own; `None` if there came nothing at all, a panic if half an
/// answer came.
pub fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = connect(address).ok()?;
    stream.write_all(head(method, path, body.len()).as_bytes()).ok()?;
    // A refusal may come before all is sent.
    let _ = stream.write_all(body);
    answer(&mut stream)
}

pub fn answer(stream: &mut TcpStream) -> Option<(u16, String)> {
    let mut bytes = vec![];
    let ended = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        return None;
    }
    ended.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    assert_eq!(length.unwrap().parse::<usize>().unwrap(), body.len(), "half an answer");
    Some((status, body.to_owned()))
}

pub fn original_ids(place: &Place) -> Vec<String> {
    let dataset = Dataset::load(&place.path("data")).unwrap();
    dataset.items.into_iter().map(|item| String::from(item.original)).collect()
}

/// Items with their scores, the best first.
pub type Scored = Vec<(String, f64)>;

pub fn scored(value: &Value) -> Scored {
    let items = value["items"].as_array().unwrap_or_else(|| panic!("{value}"));
    let one =
        |item: &Value| (item["item"].as_str().unwrap().to_owned(), item["score"].as_f64().unwrap());
    items.iter().map(one).collect()
}

/// Whether two lists recommend the same items with the same scores, but for rounding.
#[allow(dead_code)]
pub fn same(a: &[(String, f64)], b: &[(String, f64)]) -> bool {
    let alike = |((x, s), (y, t)): (&(String, f64), &(String, f64))| x == y && (s - t).abs() < 1e-6;
    a.len() == b.len() && a.iter().zip(b).all(alike)
}
