//! A server on loopback that answers as a test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The path and the headers of a request, these in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is sent before the connection is closed.
pub struct Reply {
    head: String,
    body: Vec<u8>,
    endless: bool,
}

/// A reply with these lines of a head.
pub fn reply(status: &str, headers: &[&str], body: impl Into<Vec<u8>>) -> Reply {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    Reply { head, body: body.into(), endless: false }
}

/// No reply at all.
pub fn nothing() -> Reply {
    Reply { head: String::new(), body: vec![], endless: false }
}

impl Reply {
    /// Sends the body again and again.
    pub fn endless(self) -> Reply {
        Reply { endless: true, ..self }
    }
}

pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is given each request and how many were before it.
    pub fn new(answer: impl Fn(&Request, usize) -> Reply + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                serve(connection, &answer, &seen);
            }
        });
        Server { address, asked }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut connection: TcpStream,
    answer: &impl Fn(&Request, usize) -> Reply,
    seen: &Mutex<Vec<Request>>,
) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    });
    let request = Request { path, headers: headers.collect() };
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = answer(&request, before);
    // Whoever has had enough hangs up.
    let mut sent = connection.write_all(reply.head.as_bytes());
    sent = sent.and_then(|()| connection.write_all(&reply.body));
    while reply.endless && sent.is_ok() {
        sent = connection.write_all(&reply.body);
    }
}
