//! Readers that cut a file for many threads against slow plain ones that go byte by byte, on any text.
//! Blocks and pieces are small here.

use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rand::seq::IndexedRandom;

use super::*;
use crate::random::{Purpose, stream};

/// What is wanted of a log.
#[derive(Debug, PartialEq)]
struct Expected {
    users: Vec<String>,
    items: Vec<String>,
    user: Vec<u32>,
    item: Vec<u32>,
    time: Vec<i64>,
    left_out: u64,
    /// What the third column tells of the items, and how often it says otherwise later.
    told: Vec<Option<String>>,
    others: u64,
}

/// The fields of each record that is not blank, and the line that it begins in.
fn plain_records(text: &str, separator: char, quote: Option<char>) -> Vec<(usize, Vec<String>)> {
    let mut records = vec![];
    let (mut line, mut first, mut inside, mut raw) = (1, 1, false, vec![String::new()]);
    for c in text.chars().chain(['\n']) {
        inside ^= Some(c) == quote;
        if c == '\n' && !inside {
            if let Some(last) = raw.last_mut().filter(|last| last.ends_with('\r')) {
                last.pop();
            }
            if raw != [""] {
                records.push((first, std::mem::take(&mut raw)));
            }
            (raw, first) = (vec![String::new()], line + 1);
        } else if c == separator && !inside {
            raw.push(String::new());
        } else if let Some(last) = raw.last_mut() {
            last.push(c);
        }
        line += usize::from(c == '\n');
    }
    for (_, fields) in &mut records {
        for field in fields {
            if let Some(quote) = quote.filter(|quote| field.starts_with(*quote)) {
                let inner = field[1..field.len() - 1].to_owned();
                *field = inner.replace(&format!("{quote}{quote}"), &quote.to_string());
            }
        }
    }
    records
}

/// The log of such records, or the line and a word of the first complaint.
fn plain(records: &[(usize, Vec<String>)]) -> Result<Expected, (usize, &'static str)> {
    let mut log = Expected {
        users: vec![],
        items: vec![],
        user: vec![],
        item: vec![],
        time: vec![],
        left_out: 0,
        told: vec![],
        others: 0,
    };
    let mut numbers: [HashMap<String, u32>; 2] = Default::default();
    for (line, fields) in &records[1..] {
        let [item, user, kind, time] = &fields[..] else { return Err((*line, "fields where 4")) };
        if !["", "a", "b \"c\""].contains(&kind.as_str()) {
            log.left_out += 1;
            continue;
        }
        let mut number = |of: usize, id: &str, names: &mut Vec<String>| {
            let new = numbers[of].len() as u32;
            *numbers[of].entry(id.to_owned()).or_insert_with(|| {
                names.push(id.to_owned());
                new
            })
        };
        if user.is_empty() {
            return Err((*line, "the user id"));
        }
        if item.is_empty() {
            return Err((*line, "the item id"));
        }
        let Ok(time) = time.parse() else { return Err((*line, "is no time")) };
        log.time.push(time);
        log.user.push(number(0, user, &mut log.users));
        let number = number(1, item, &mut log.items);
        log.item.push(number);
        log.told.resize(log.items.len(), None);
        match &mut log.told[number as usize] {
            _ if kind.is_empty() => {}
            Some(told) => log.others += u64::from(told != kind),
            none => *none = Some(kind.clone()),
        }
    }
    Ok(log)
}

/// Reads `text` both ways.
fn compare(text: &str, format: Format) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, text).unwrap();
    let name = |name: &str| Some(name.to_owned());
    let source = Source {
        files: vec![path.clone()],
        format: Some(format),
        user: name("user"),
        item: name("item"),
        time: name("time"),
        separator: (format == Format::Tsv).then_some('\t'),
        keep: BTreeMap::from([("kind".into(), ["", "a", "b \"c\""].map(String::from).into())]),
        ..Source::default()
    };
    let kind = crate::data::FieldKind::Category;
    let field = AskedField { name: "kind", kind, column: "kind" };
    let read = source.read_told([&[], &[field]], &mut |_| ());
    let (separator, quote) = match format {
        Format::Tsv => ('\t', None),
        _ => (',', Some('"')),
    };
    match (read, plain(&plain_records(text, separator, quote))) {
        (Ok((log, [_, told])), Ok(expected)) => {
            let events = log.interactions;
            let texts = |item: usize| {
                let numbers = told.fields[0].numbers(item);
                let crate::data::records::Values::Texts { texts, .. } = &told.fields[0].values
                else {
                    return None;
                };
                numbers.first().map(|number| texts[*number as usize].clone())
            };
            let read = Expected {
                told: (0..events.items.len()).map(texts).collect(),
                others: told.fields[0].others,
                users: events.users,
                items: events.items,
                user: events.user,
                item: events.item,
                time: events.time.unwrap_or_default(),
                left_out: log.left_out,
            };
            prop_assert_eq!(read, expected);
        }
        (Err(error), Ok(expected)) => {
            prop_assert!(error.to_string().ends_with("holds no interactions"), "{}", error);
            prop_assert_eq!((expected.users.len(), expected.left_out), (0, 0));
        }
        (Ok(_), Err((line, wrong))) => prop_assert!(false, "line {}: {} is read", line, wrong),
        (Err(error), Err((line, wrong))) => {
            let (error, place) = (error.to_string(), format!("{}:{line}: ", path.display()));
            prop_assert!(
                error.starts_with(&place) && error.contains(wrong),
                "{place}{wrong}: {error}"
            );
        }
    }
    Ok(())
}

/// Fields as they are written; `true`: with quotes.
const IDS: [(&str, bool); 9] = [
    ("u1", false),
    ("7", false),
    ("an id that is longer than most are", false),
    ("zoë", false),
    ("say \"x\"", false),
    ("\"7\"", true),
    ("\"a,b\"", true),
    ("\"x\n\n\"\"y\"\"\"", true),
    ("\"\r\n\"", true),
];
const KINDS: [&str; 7] = ["a", "", "\"a\"", "\"b \"\"c\"\"\"", "\"\"", "other", "\"x,\n\""];

fn record(ids: [usize; 2], kind: usize, time: i64, end: &str) -> String {
    let [item, user] = ids.map(|id| IDS[id].0);
    format!("{item},{user},{},{time}{end}", KINDS[kind])
}

const ENDS: [&str; 5] = ["\n", "\r\n", "\n\n", "\n\r\n", "\n"];

proptest! {
    #[test]
    fn any_csv_is_cut_as_byte_by_byte(
        records in vec(([0..9usize, 0..9usize], 0..7usize, -5..5i64, select(&ENDS[..])), 0..40),
        wrong in (0..200usize, select(&["1,2\n", ",u,a,1\n", "i,\"\",a,1\n", "i,u,a,x\n", "i,u,a,1,\n"][..])),
    ) {
        let mut lines: Vec<String> =
            records.iter().map(|(ids, kind, time, end)| record(*ids, *kind, *time, end)).collect();
        if wrong.0 < lines.len() {
            lines.insert(wrong.0, wrong.1.to_owned());
        }
        compare(&format!("item,user,kind,time\n{}", lines.concat()), Format::Csv)?;
    }

    #[test]
    fn any_tsv_is_cut_as_byte_by_byte(
        records in vec((vec(select(&["a", "\"", "1", "", "x"][..]), 3..6), -5..5i64, select(&ENDS[..])), 0..40),
        ended in any::<bool>(),
    ) {
        let record = |(fields, time, end): &(Vec<&str>, i64, &str)| {
            format!("{}\t{time}{end}", fields.join("\t"))
        };
        let lines: String = records.iter().map(record).collect();
        let last = if ended { None } else { lines.strip_suffix('\n') };
        let lines = last.unwrap_or(&lines);
        compare(&format!("item\tuser\tkind\ttime\n{lines}"), Format::Tsv)?;
    }
}

#[test]
fn a_log_of_several_blocks_is_read_as_byte_by_byte() {
    let mut random = stream(1, Purpose::Generation, 0);
    for quoted in [false, true] {
        let ids: Vec<&str> =
            IDS.iter().filter(|id| quoted || !id.1 && !id.0.contains('"')).map(|id| id.0).collect();
        let mut text = "item,user,kind,time\n".to_owned();
        for time in 0.. {
            if text.len() > 5 << 19 {
                break;
            }
            let [item, user] = [0, 1].map(|_| ids.choose(&mut random).unwrap());
            let kind = ["a", "", "other"].choose(&mut random).unwrap();
            // New ids to the end, some of them again and again.
            text += &format!("{item}{},{user},{kind},{time}\n", if quoted { "" } else { "-" });
            text += &format!("i{},u{},a,{time}\n", time / 3 % 5_000, time / 7);
        }
        compare(&text, Format::Csv).unwrap();
    }
}
