//! `croloss fetch` against a server on loopback, with all that can go wrong on the way.

mod server;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use croloss::data::RawFile;
use croloss::fetch::fetch;
use server::{Reply, Request, Server, nothing, reply};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A file to be had, long enough to come in several reads.
fn content() -> Vec<u8> {
    (0u32..100_000).flat_map(|number| number.to_le_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A description of the file `log.bin` in a folder of its own.
struct Place(TempDir);

impl Place {
    /// `raw`: what the description says of the file besides name and address.
    fn new(url: &str, raw: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let text = format!(
            "name = 'shop'\nabout = 'Orders'\nhomepage = 'https://example.org'\nlicence = 'ours'\n\
             [[raw]]\nname = 'log.bin'\nurl = '{url}'\n{raw}\n[source]\nfiles = ['log.bin']\n"
        );
        fs::write(place.path("d.toml"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_croloss"));
        for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn fetch(&self) -> Output {
        self.run(&["fetch", "d.toml", "--to", "raw"])
    }

    fn succeeds(&self) -> String {
        let output = self.fetch();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with that status and a line that says so; nothing stands under the file's name.
    fn fails(&self, status: i32, expected: &str) {
        let output = self.fetch();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(expected), "`{expected}` is missing in: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!self.path("raw/log.bin").exists());
    }

    fn holds(&self, expected: &[u8]) {
        assert!(fs::read(self.path("raw/log.bin")).unwrap() == expected);
        assert_eq!(self.names(), ["log.bin"]);
    }

    /// What the folder holds, hidden files too.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("raw")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The file, or the part of it that is asked for if the server calls the file `tag`.
fn part(request: &Request, tag: &str, content: &[u8]) -> Reply {
    let same = request.header("if-range") == Some(tag);
    let tagged = format!("ETag: {tag}");
    match request.from().filter(|_| same) {
        None => {
            let length = format!("Content-Length: {}", content.len());
            reply("200 OK", &[&tagged, &length], content)
        }
        Some(from) => {
            let length = format!("Content-Length: {}", content.len() - from);
            let size = content.len();
            let range = format!("Content-Range: bytes {from}-{}/{size}", size - 1);
            reply("206 Partial Content", &[&tagged, &length, &range], &content[from..])
        }
    }
}

/// The whole file, of which `sent` bytes come before the connection breaks.
fn broken(tag: &str, content: &[u8], sent: usize) -> Reply {
    let length = format!("Content-Length: {}", content.len());
    reply("200 OK", &[&format!("ETag: {tag}"), &length], &content[..sent])
}

const TAG: &str = "\"one\"";

#[test]
fn a_file_comes_whole_and_is_not_asked_for_again() {
    let server = Server::new(|request, _| part(request, TAG, &content()));
    let sums = format!(
        "size = {}\nmd5 = '{}'\nsha256 = '{}'",
        content().len(),
        // Of the same bytes, by md5sum.
        "759b667ca712df5f43993b6618607e3b",
        sha256(&content())
    );
    let place = Place::new(&server.url("/log.bin"), &sums);
    let said = place.succeeds();
    assert_eq!(said, "raw/log.bin was downloaded\nnext: croloss prepare d.toml --raw raw\n");
    place.holds(&content());
    assert!(place.succeeds().starts_with("raw/log.bin is there already\n"));
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].header("range"), None);
    // Another file of that name stays, and is told.
    fs::write(place.path("raw/log.bin"), "mine").unwrap();
    let output = place.fetch();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("raw/log.bin is there, and is not the file"), "{said}");
    assert!(said.contains("it has 4 bytes, not 400000"), "{said}");
    assert_eq!(fs::read_to_string(place.path("raw/log.bin")).unwrap(), "mine");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_broken_connection_is_gone_on_with_where_it_broke() {
    let server = Server::new(|request, before| match before {
        0 => broken(TAG, &content(), 150_000),
        // The second breaks as well, after 50,000 bytes more.
        1 => {
            assert_eq!(request.from(), Some(150_000));
            let range = "Content-Range: bytes 150000-399999/400000";
            let head = [range, "Content-Length: 250000"];
            reply("206 Partial Content", &head, &content()[150_000..200_000])
        }
        _ => part(request, TAG, &content()),
    });
    let place = Place::new(&server.url("/"), &format!("sha256 = '{}'", sha256(&content())));
    place.succeeds();
    place.holds(&content());
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[1].header("if-range"), Some(TAG));
    assert_eq!(asked[2].header("range"), Some("bytes=200000-"));
}

#[test]
fn the_next_call_goes_on_where_the_last_one_ended() {
    let server = Server::new(|request, before| match before {
        0 => broken(TAG, &content(), 150_000),
        1 => nothing(),
        _ => part(request, TAG, &content()),
    });
    let place = Place::new(&server.url("/"), "");
    place.fails(1, "did not come whole; what has come is kept: call again to go on");
    assert_eq!(place.names(), [".log.bin.partial", ".log.bin.partial-from"]);
    assert_eq!(server.asked().len(), 2);
    place.succeeds();
    place.holds(&content());
    assert_eq!(server.asked()[2].header("range"), Some("bytes=150000-"));
}

#[test]
fn what_came_from_elsewhere_is_not_gone_on_with() {
    let server = Server::new(|request, before| match before {
        0 => broken(TAG, &vec![1; 400_000], 150_000),
        1 => nothing(),
        _ => part(request, TAG, &content()),
    });
    let place = Place::new(&server.url("/old"), "");
    place.fails(1, "did not come whole");
    let text = fs::read_to_string(place.path("d.toml")).unwrap();
    fs::write(place.path("d.toml"), text.replace("/old", "/new")).unwrap();
    place.succeeds();
    place.holds(&content());
    assert_eq!(server.asked()[2].header("range"), None);
}

#[test]
fn of_a_server_that_knows_no_ranges_the_file_comes_from_the_start() {
    let server = Server::new(|_, before| match before {
        0 => broken(TAG, &content(), 150_000),
        _ => reply("200 OK", &[&format!("ETag: {TAG}"), "Content-Length: 400000"], content()),
    });
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&content());
    assert_eq!(server.asked().len(), 2);
    assert_eq!(server.asked()[1].from(), Some(150_000));
    // One that always breaks at the same place is asked twice, not for ever.
    let server = Server::new(|_, _| broken(TAG, &content(), 150_000));
    let place = Place::new(&server.url("/"), "");
    place.fails(1, "did not come whole");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_file_that_changed_between_tries_comes_anew() {
    let newer: Vec<u8> = content().iter().map(|byte| byte ^ 0xff).chain([1, 2, 3]).collect();
    let expected = newer.clone();
    let server = Server::new(move |request, before| match before {
        0 => broken(TAG, &content(), 150_000),
        _ => part(request, "\"two\"", &newer),
    });
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&expected);
    assert_eq!(server.asked().len(), 2);
    // A server that does not hear If-Range, but says that it is another file.
    let newer = expected.clone();
    let server = Server::new(move |request, before| match (before, request.from()) {
        (0, _) => broken(TAG, &content(), 150_000),
        (_, Some(from)) => {
            let range = format!("Content-Range: bytes {from}-400002/400003");
            reply("206 Partial Content", &["ETag: \"two\"", &range], &newer[from..])
        }
        _ => part(request, "\"two\"", &newer),
    });
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&expected);
}

#[test]
fn parts_that_do_not_fit_are_not_taken() {
    let wrong = [
        // From another byte than was asked for; a range that is none; none at all; past the end.
        ("206 Partial Content", Some("Content-Range: bytes 100-399999/400000")),
        ("206 Partial Content", Some("Content-Range: lines 1-2/3")),
        ("206 Partial Content", None),
        ("416 Range Not Satisfiable", Some("Content-Range: bytes */400000")),
    ];
    for (status, range) in wrong {
        let server = Server::new(move |request, before| match (before, request.from()) {
            (0, _) => broken(TAG, &content(), 150_000),
            (_, Some(_)) => reply(status, range.as_slice(), vec![7; 1000]),
            _ => part(request, TAG, &content()),
        });
        let place = Place::new(&server.url("/"), "");
        place.succeeds();
        place.holds(&content());
        assert_eq!(server.asked().len(), 3);
    }
}

#[test]
fn without_a_sign_of_the_same_file_there_is_no_going_on() {
    // A tag that stands for less than the very bytes, and none.
    for sign in ["ETag: W/\"one\"", "X-Nothing: 0"] {
        let server = Server::new(move |_, before| {
            let sent = if before == 0 { 150_000 } else { 400_000 };
            reply("200 OK", &[sign, "Content-Length: 400000"], &content()[..sent])
        });
        let place = Place::new(&server.url("/"), "");
        place.succeeds();
        place.holds(&content());
        assert_eq!(server.asked()[1].header("range"), None, "{sign}");
    }
    let changed = "Wed, 21 Oct 2015 07:28:00 GMT";
    let server = Server::new(move |request, before| {
        let sign = format!("Last-Modified: {changed}");
        match before {
            0 => reply("200 OK", &[&sign, "Content-Length: 400000"], &content()[..150_000]),
            _ => part(request, changed, &content()),
        }
    });
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&content());
    assert_eq!(server.asked()[1].header("if-range"), Some(changed));
}

#[test]
fn a_wrong_checksum_keeps_nothing() {
    for (key, digits) in [("md5", 32), ("sha256", 64)] {
        let server = Server::new(|request, _| part(request, TAG, &content()));
        let place = Place::new(&server.url("/"), &format!("{key} = '{}'", "0".repeat(digits)));
        place.fails(1, "is not the file that the description knows (its ");
        assert!(place.names().is_empty(), "{:?}", place.names());
    }
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::new(|request, _| match request.path.as_str() {
        "/old" => reply("302 Found", &["Location: /new", "Content-Length: 0"], ""),
        "/new" if request.from().is_none() => broken(TAG, &content(), 150_000),
        "/new" => part(request, TAG, &content()),
        _ => reply("301 Moved Permanently", &["Location: /loop", "Content-Length: 0"], ""),
    });
    let place = Place::new(&server.url("/old"), "");
    place.succeeds();
    place.holds(&content());
    let asked = server.asked();
    let paths: Vec<&str> = asked.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/old", "/new", "/old", "/new"]);
    assert_eq!(asked[3].from(), Some(150_000));
    let place = Place::new(&server.url("/loop"), "");
    place.fails(1, "leads on more than 5 times");
    assert_eq!(server.asked().len(), 4 + 6);
    assert!(place.names().is_empty());
}

#[test]
fn an_endless_body_ends_at_the_size_that_is_known() {
    let endless = |_: &Request, _| reply("200 OK", &[], vec![7; 50_000]).endless();
    let server = Server::new(endless);
    let place = Place::new(&server.url("/"), "size = 400000");
    place.fails(1, "sends more than 400000 bytes: nothing is kept");
    assert!(place.names().is_empty());
    // Of one that tells a size no more is read than that.
    let server =
        Server::new(|_, _| reply("200 OK", &["Content-Length: 100000"], vec![7; 50_000]).endless());
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&vec![7; 100_000]);
    // Where nobody knows, there is a bound all the same.
    if ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|key| std::env::var_os(key).is_some())
    {
        eprintln!("skipped: a proxy would be asked");
        return;
    }
    let server = Server::new(endless);
    let folder = tempfile::tempdir().unwrap();
    let raw = RawFile { name: "x".into(), url: Some(server.url("/")), ..RawFile::default() };
    let mut furthest = 0;
    let ended = fetch(&raw, folder.path(), 300_000, &mut |done, total| {
        assert_eq!(total, None);
        furthest = done;
    });
    assert!(ended.unwrap_err().to_string().contains("sends more than 300000 bytes"));
    assert!(furthest <= 300_000);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_body_of_unknown_size_is_taken_to_its_end() {
    let server = Server::new(|_, _| reply("200 OK", &[], content()));
    let place = Place::new(&server.url("/"), &format!("sha256 = '{}'", sha256(&content())));
    place.succeeds();
    place.holds(&content());
}

#[test]
fn answers_that_are_no_file_are_told() {
    for (status, body, expected) in [
        ("404 Not Found", "no", "log.bin could not be fetched (its page: https://example.org): "),
        ("404 Not Found", "no", "answers 404 Not Found"),
        ("503 Service Unavailable", "later", "answers 503 Service Unavailable"),
        ("206 Partial Content", "half", "answers 206 Partial Content"),
        ("200 OK", "", "answers with an empty file"),
    ] {
        let server = Server::new(move |_, _| {
            reply(status, &[&format!("Content-Length: {}", body.len())], body)
        });
        let place = Place::new(&server.url("/"), "");
        place.fails(1, expected);
        assert!(place.names().is_empty(), "{status}: {:?}", place.names());
        assert_eq!(server.asked().len(), 1);
    }
    let server = Server::new(|_, _| nothing());
    let place = Place::new(&server.url("/"), "");
    place.fails(1, "did not come whole: ");
    assert!(place.names().is_empty());
    let server =
        Server::new(|_, _| reply("200 OK", &["Content-Encoding: gzip", "Content-Length: 2"], "xy"));
    Place::new(&server.url("/"), "").fails(1, "packed in a way that was not asked for");
    // Another size than is known is another file; nothing of it is read.
    let server = Server::new(|request, _| part(request, TAG, &content()));
    let place = Place::new(&server.url("/"), "size = 7");
    place.fails(1, "offers 400000 bytes where the description knows 7");
    assert!(place.names().is_empty());
}

#[test]
fn where_no_program_may_download_the_steps_are_told() {
    let place = Place::new("http://127.0.0.1:1/", "");
    let output = place.run(&["fetch", "taobao"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("offered at https://tianchi.aliyun.com/dataset/649\n"), "{said}");
    assert!(said.contains("\n1. sign in to Tianchi"), "{said}");
    assert!(said.ends_with("\n4. croloss prepare taobao --raw data/raw\n"), "{said}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("taobao is not downloaded by a program"), "{said}");
    // Once its file is there, nothing is left to do.
    fs::create_dir_all(place.path("data/raw")).unwrap();
    fs::write(place.path("data/raw/UserBehavior.csv.zip"), "x").unwrap();
    let said = String::from_utf8(place.run(&["fetch", "taobao"]).stdout).unwrap();
    assert!(said.starts_with("data/raw/UserBehavior.csv.zip is there already\n"), "{said}");
}

#[test]
fn a_server_that_is_not_there_leaves_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let place = Place::new(&format!("http://{address}/"), "");
    place.fails(1, "did not come whole: ");
    assert!(place.names().is_empty());
}
