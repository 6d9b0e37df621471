//! Histories to recommend for: files of them, and requests to the service.

use std::time::Duration;

use croloss::retrieve::Requests;
use croloss::serve::{Limits, Wish};
use polars::prelude::{NamedFrom, ParquetWriter, Series, df};

use crate::Target;
use crate::sample;

pub fn targets() -> Vec<Target> {
    vec![
        Target { name: "histories", seeds, read, memory: (160 << 20, 2000) },
        Target { name: "request", seeds: wish_seeds, read: wish, memory: (1 << 20, 200) },
    ]
}

/// The first byte says in which format the others are.
fn read(data: &[u8]) {
    let Some((kind, content)) = data.split_first() else { return };
    let name = ["histories.csv", "histories.jsonl", "histories.parquet"][usize::from(kind % 3)];
    let Ok(requests) = Requests::open(&sample::write(name, content)) else { return };
    let mut last = 0;
    let _ = requests.read(&mut |block, done| {
        for request in &block {
            assert!(request.line > last && done <= requests.size);
            last = request.line;
        }
        Ok(())
    });
}

fn seeds() -> Vec<Vec<u8>> {
    let of = |kind: u8, content: &[u8]| [&[kind], content].concat();
    let lists: Vec<Series> = [vec!["a", "7"], vec![], vec!["b"]]
        .into_iter()
        .map(|ids| Series::new("".into(), ids))
        .collect();
    let texts = df!("user" => ["u", "v", "w"], "history" => ["a 7", "", "b"]);
    let frames = [texts, df!("history" => lists), df!("history" => [7i64, 8], "user" => [1u32, 2])];
    let parquet = frames.map(|frame| {
        let mut file = Vec::new();
        let written = ParquetWriter::new(&mut file).finish(&mut frame.expect("a table"));
        written.expect("it is written to memory");
        of(2, &file)
    });
    let texts = [
        of(0, b"user,history\nu,a b c\n\"v,\"\"w\"\"\",\"x\ny\"\n\n"),
        of(0, b"\xef\xbb\xbfhistory\r\n1 2\r\n"),
        of(
            1,
            b"{\"user\":7,\"history\":[\"a\",7],\"allow\":[],\"deny\":[\"b\"]}\n\n{\"history\":[]}",
        ),
        of(1, b"{\"history\":[],\"fields\":{\"age\":31,\"tags\":[\"a\",null,true]}}"),
    ];
    texts.into_iter().chain(parquet).collect()
}

/// The body of a request.
fn wish(data: &[u8]) {
    let limits = Limits {
        body: 1 << 20,
        histories: 8,
        history: 16,
        listed: 8,
        top: 100,
        timeout: Duration::from_secs(1),
        connections: 1,
    };
    if let Ok(wish) = Wish::parse(data, &limits) {
        assert!((1..=100).contains(&wish.top) && wish.histories.len() <= 8);
    }
}

fn wish_seeds() -> Vec<Vec<u8>> {
    [
        "{\"histories\":[[\"a\",7],[]],\"top\":5,\"exclude_seen\":true,\"allow\":[\"\\u00e4\"],\"deny\":[-1]}",
        " {\"histories\": [[\"\\ud83d\\ude00\"]], \"allow\": null}",
        "{\"histories\":[[],[]],\"fields\":[null,{\"age\":31,\"tags\":[\"a\",2.5]}]}",
        "[[[\"a\"]],5]",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}
