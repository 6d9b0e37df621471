//! `croloss fetch` against a server on loopback, with all that can go wrong on the way.

mod file;
mod place;
mod resumed;
mod server;

use std::fs;

use croloss::data::RawFile;
use croloss::fetch::fetch;
use file::{TAG, broken, content, part, sha256};
use place::Place;
use server::{Request, Server, nothing, reply};

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
