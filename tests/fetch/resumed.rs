//! Downloads that break, and how they are gone on with.

use std::fs;

use crate::file::{TAG, broken, content, part, sha256};
use crate::place::Place;
use crate::server::{Server, nothing, reply};

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
    // A server that does not hear If-Range, but says that it is another file, by its tag or by nothing
    // else than its size.
    for sign in ["ETag: \"two\"", "X-Nothing: 0"] {
        let newer = expected.clone();
        let server = Server::new(move |request, before| match (before, request.from()) {
            (0, _) => broken(TAG, &content(), 150_000),
            (_, Some(from)) => {
                let range = format!("Content-Range: bytes {from}-400002/400003");
                reply("206 Partial Content", &[sign, &range], &newer[from..])
            }
            _ => part(request, "\"two\"", &newer),
        });
        let place = Place::new(&server.url("/"), "");
        place.succeeds();
        place.holds(&expected);
    }
}

#[test]
fn a_rest_that_tells_no_size_is_whole_at_the_size_that_was_told_first() {
    let server = Server::new(|request, before| match before {
        0 => broken(TAG, &content(), 150_000),
        // Nothing in the answer says that 150,000 bytes of it are missing.
        1 => {
            let range = "Content-Range: bytes 150000-399999/*";
            reply("206 Partial Content", &[range], &content()[150_000..250_000])
        }
        _ => part(request, TAG, &content()),
    });
    let place = Place::new(&server.url("/"), "");
    place.succeeds();
    place.holds(&content());
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].header("range"), Some("bytes=250000-"));
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
