//! Logs: text, JSON lines, Parquet, packed or not.

use std::fs;
use std::io::Write;

use croloss::data::{Format, Rules, Source, SplitBy, SplitRule, prepare};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Target;
use crate::sample;

/// What reading a block takes, whatever it holds.
const BLOCK: usize = 160 << 20;

pub fn targets() -> Vec<Target> {
    let of = |name, seeds, read| Target { name, seeds, read, memory: (BLOCK, 2000) };
    vec![
        of("delimited", delimited_seeds, delimited),
        of("json-lines", json_seeds, json),
        of("parquet", parquet_seeds, parquet),
        of("compressed", compressed_seeds, compressed),
    ]
}

/// Reads a log; one that can be read can be prepared, or is refused.
fn read(source: &Source) {
    let Ok(log) = source.read(&mut |_| {}) else { return };
    assert_eq!(log.interactions.user.len(), log.interactions.item.len());
    for by in [SplitBy::None, SplitBy::Cut, SplitBy::Seed] {
        let rules = Rules { min_item_count: 1, min_user_count: 2, short_users_first: true };
        let split = SplitRule { by, ..SplitRule::default() };
        if let Ok(dataset) = prepare("fuzz", log.clone(), &rules, &split) {
            let last = dataset.sequences.offsets.last();
            assert_eq!(last, Some(&dataset.sequences.items.len()));
        }
    }
}

/// A source of the log's columns in a file of this content.
fn source(name: &str, content: &[u8]) -> Source {
    sample::source(sample::write(name, content))
}

/// The first byte says what kind of text the others are.
fn delimited(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let mut source = source("log", text);
    let columns = |number: &str| Some(number.to_owned());
    source.format = Some(match kind % 8 {
        0 | 1 | 4 => Format::Csv,
        2 | 5 => Format::Tsv,
        3 => Format::UserItem,
        _ => Format::Sequences,
    });
    match kind % 8 {
        3 | 6 | 7 => (source.user, source.item, source.time) = (None, None, None),
        1 => {
            source.keep = [("user".into(), vec!["u1".into(), "u2".into()])].into();
            source.day = Some("time".into());
        }
        4 | 5 => {
            source.header = false;
            source.separator = (kind / 8 % 2 == 1).then_some(';');
            (source.user, source.item, source.time) = (columns("2"), columns("1"), None);
        }
        _ => {}
    }
    read(&source);
}

fn delimited_seeds() -> Vec<Vec<u8>> {
    let csv = sample::log();
    let of = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let lines = |text: &str| text.lines().take(5).collect::<Vec<_>>().join("\n");
    vec![
        of(0, &csv),
        of(1, &csv),
        of(2, &csv.replace(',', "\t")),
        of(
            0,
            "\u{feff}\"user\",item,\"time\"\r\n\"a \"\"b\"\"\",\"x\ny\",2016-05-09T10:11:12.5Z\r\n",
        ),
        of(3, "1 2\n1 3\n2 2\n"),
        of(4, "2,3\n4,5\n"),
        of(5, "2\t3\n4\t5\n"),
        of(12, "2;3;9\n4;5;8\n"),
        of(6, "1 2 3\n\n4 5\n"),
        of(0, &lines(&csv.replace("10", "-1.5e3"))),
    ]
}

/// The first byte says whether lines hold events, or lists of them.
fn json(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let mut source = source("log", text);
    source.format = Some(Format::JsonLines);
    source.events = (kind % 2 == 1).then(|| "events".into());
    if kind / 2 % 2 == 1 {
        source.keep = [("type".into(), vec!["click".into(), "".into()])].into();
    }
    read(&source);
}

fn json_seeds() -> Vec<Vec<u8>> {
    [
        "\x00{\"user\":\"u\",\"item\":1,\"time\":2.5}\n{\"user\":2,\"item\":\"\\u00e4\",\"time\":\"2016-05-09\",\"x\":[{}]}\n",
        "\x02{\"type\":\"click\",\"user\":true,\"item\":1e3,\"time\":2}\n",
        "\x01{\"user\":\"u\",\"events\":[{\"item\":1,\"time\":2},{\"time\":3,\"item\":\"b\"}]}\n{\"events\":[],\"user\":-7}\n",
        "\x03{\"user\":\"u\",\"events\":[{\"item\":null,\"time\":2,\"type\":\"click\"}]}\n",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

fn parquet(data: &[u8]) {
    let mut source = source("log", data);
    source.format = Some(Format::Parquet);
    read(&source);
}

/// The files of a dataset are in Parquet, too.
fn parquet_seeds() -> Vec<Vec<u8>> {
    let folder = sample::folder().join("seeds");
    sample::dataset().save(&folder, true).expect("a dataset is written");
    let read = |name| fs::read(folder.join(name)).expect("a file of a dataset");
    let tiny = sample::source(sample::write("tiny.csv", "user,item,time\n1,2,3\n1,4,5\n"));
    let tiny = tiny.read(&mut |_| {}).expect("a log");
    let none = SplitRule { by: SplitBy::None, ..SplitRule::default() };
    let tiny = prepare("tiny", tiny, &sample::rules(), &none).expect("a dataset");
    let large = [read("sequences.parquet"), read("users.parquet")];
    tiny.save(&folder, true).expect("a dataset is written");
    [vec![read("sequences.parquet")], large.to_vec()].concat()
}

/// The first byte says which format is packed, and whether the bytes are packed already. Damage to
/// what is packed here: two bytes say where it ends, or where the next part of it begins.
fn compressed(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let packed = match kind % 4 {
        0 | 1 => rest.to_vec(),
        damage => {
            let Some((at, content)) = rest.split_first_chunk::<2>() else { return };
            let at = usize::from(u16::from_le_bytes(*at)).min(content.len());
            let (first, second) = content.split_at(at);
            match damage {
                2 => [pack(first), pack(second)].concat(),
                _ => {
                    let mut packed = pack(content);
                    packed.truncate(packed.len().saturating_sub(at % 32));
                    packed
                }
            }
        }
    };
    let mut source = source("log", &packed);
    source.format = Some(if kind / 4 % 2 == 0 { Format::Csv } else { Format::Parquet });
    read(&source);
}

fn pack(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(content).and_then(|()| packer.finish()).expect("it is packed in memory")
}

fn compressed_seeds() -> Vec<Vec<u8>> {
    let csv = sample::log().into_bytes();
    let parquet = parquet_seeds().remove(0);
    vec![
        [&[0][..], &pack(&csv[..200])].concat(),
        [&[4][..], &pack(&parquet)].concat(),
        [&[2, 80, 0][..], &csv[..200]].concat(),
        [&[3, 1, 0][..], &csv[..200]].concat(),
        [&[6, 99, 0][..], &parquet].concat(),
    ]
}
