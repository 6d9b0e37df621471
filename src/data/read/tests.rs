//! Every format gives the same events, and every fault of a log is told with its place.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use polars::prelude::*;
use tempfile::TempDir;

use super::*;

/// Users, items and times of the log that every format's file holds.
const EVENTS: [(&str, &str, i64); 5] =
    [("7", "x", 30), ("7", "y", 10), ("ann", "x", 20), ("7", "x", 5), ("zoë", "z", -1)];

fn gz(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn put(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn table(files: Vec<PathBuf>) -> Source {
    let name = |name: &str| Some(name.to_owned());
    Source {
        files,
        user: name("user"),
        item: name("item"),
        time: name("time"),
        ..Source::default()
    }
}

fn read(source: &Source) -> Result<Log> {
    source.read(&mut |_| {})
}

/// The sentence that reading one file of that name and content fails with, without its folder.
fn complaint(name: &str, content: impl AsRef<[u8]>, change: impl FnOnce(&mut Source)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut source = table(vec![put(&dir, name, content)]);
    change(&mut source);
    let error = read(&source).unwrap_err();
    format!("{error:#}").replace(&format!("{}/", dir.path().display()), "")
}

fn events(log: &Log) -> Vec<(String, String, Option<i64>)> {
    let log = &log.interactions;
    (0..log.len())
        .map(|event| {
            let user = log.users[log.user[event] as usize].clone();
            let item = log.items[log.item[event] as usize].clone();
            (user, item, log.time.as_ref().map(|time| time[event]))
        })
        .collect()
}

fn expected() -> Vec<(String, String, Option<i64>)> {
    EVENTS.iter().map(|(u, i, t)| (u.to_string(), i.to_string(), Some(*t))).collect()
}

fn lines(line: impl Fn(&(&str, &str, i64)) -> String) -> String {
    EVENTS.iter().map(|event| line(event) + "\n").collect()
}

fn parquet_bytes(user: Vec<&str>) -> Vec<u8> {
    let column = |name: &str, values: Series| Column::from(values.with_name(name.into()));
    let items: Vec<&str> = EVENTS.iter().map(|event| event.1).collect();
    let times: Vec<i64> = EVENTS.iter().map(|event| event.2).collect();
    let mut frame = DataFrame::new_infer_height(vec![
        column("time", Series::new("".into(), times)),
        column("user", Series::new("".into(), user)),
        column("item", Series::new("".into(), items)),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_row_group_size(Some(2)).finish(&mut frame).unwrap();
    bytes
}

#[test]
fn every_format_tells_the_same_events_gzipped_or_not() {
    let csv = "item,user,other,time\n".to_owned()
        + &lines(|(u, i, t)| format!("\"{i}\",{u},\"a, \"\"b\"\"\nc\",{t}"));
    let tsv = "user\titem\ttime\n".to_owned() + &lines(|(u, i, t)| format!("{u}\t{i}\t{t}.0"));
    let json = lines(|(u, i, t)| match u.parse::<u32>() {
        Ok(number) => {
            format!(r#"{{"time": {t}, "x": [1, {{}}], "user": {number}, "item": "{i}"}}"#)
        }
        Err(_) => format!(r#"{{"user": "{u}", "item": "{i}", "time": "{t}"}}"#),
    });
    let parquet = parquet_bytes(EVENTS.iter().map(|event| event.0).collect());
    let files: [(&str, Vec<u8>); 7] = [
        ("log.csv", csv.clone().into()),
        ("crlf.csv", csv.replace("\n", "\r\n").replace("\r\nc", "\nc").into()),
        ("blank.csv", format!("\u{feff}\n{}\n\n", csv.replace("-1\n", "-1")).into()),
        ("log.tsv", tsv.into()),
        ("log.jsonl", json.clone().into()),
        ("log.json", json.replace('\n', " \r\n\n").into()),
        ("log.parquet", parquet),
    ];
    for (name, content) in files {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in
            [(name.to_owned(), content.clone()), (format!("{name}.gz"), gz(&content))]
        {
            let path = put(&dir, &name, &content);
            let mut consumed = 0;
            let log = table(vec![path]).read(&mut |bytes| consumed = bytes).unwrap();
            assert_eq!(events(&log), expected(), "{name}");
            assert_eq!((consumed, log.files[0].size), (content.len() as u64, consumed), "{name}");
        }
    }
}

#[test]
fn numbers_in_parquet_are_ids_and_times_and_other_types_are_refused() {
    let bytes = |user: Series, time: Series| {
        let item = Series::new("item".into(), [9_876_543_210_i64, 1]);
        let columns = [user.with_name("user".into()), item, time.with_name("time".into())];
        let mut frame = DataFrame::new_infer_height(columns.map(Column::from).into()).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        bytes
    };
    let dir = tempfile::tempdir().unwrap();
    let (ids, times) = (Series::new("".into(), [7u32, 8]), [1.5e9, -0.5]);
    let good = bytes(ids.clone(), Series::new("".into(), times));
    let log = read(&table(vec![put(&dir, "a.parquet", good)])).unwrap();
    let expected = [("7", "9876543210", 1_500_000_000), ("8", "1", -1)];
    let expected = expected.map(|(u, i, t)| (u.to_owned(), i.to_owned(), Some(t)));
    assert_eq!(events(&log), expected);
    let flags = bytes(ids, Series::new("".into(), [true, false]));
    let said = complaint("a.parquet", flags, |_| ());
    assert!(said.contains("`time` is of the type Boolean, not text or numbers"), "{said}");
    let floats = bytes(Series::new("".into(), times), Series::new("".into(), [1i64, 2]));
    let said = complaint("a.parquet", floats, |_| ());
    assert!(said.contains("`user` is of the type Float64, not text or whole"), "{said}");
}

#[test]
fn gzip_is_told_by_content_not_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let csv = b"user,item,time\na,b,1\n";
    let packed = read(&table(vec![put(&dir, "packed.csv", gz(csv))])).unwrap();
    let plain = read(&table(vec![put(&dir, "plain.csv.gz", csv)])).unwrap();
    assert_eq!(packed.interactions, plain.interactions);
    // Two gzip members one after the other are one text.
    let both = [gz(b"user,item,time\na,b,1\n"), gz(b"c,d,2\n")].concat();
    assert_eq!(events(&read(&table(vec![put(&dir, "both.csv", both)])).unwrap()).len(), 2);
}

#[test]
fn the_hash_is_that_of_the_file_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    // From sha256sum.
    let log = read(&table(vec![put(&dir, "a.csv", "user,item,time\na,b,1\n")])).unwrap();
    assert_eq!(
        log.files[0].sha256,
        "1c1e9211ff6ea9a6d2f86bbeba48a190ab634ac8c564674fc0cf3628c7bc45da"
    );
}

#[test]
fn columns_can_be_numbered_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    // The published form of Taobao's UserBehavior.csv.
    let path =
        put(&dir, "UserBehavior.csv", "1,22,9,pv,5\n1,23,9,buy,6\n2,22,9,fav,7\n2,24,9,pv,8\n");
    let mut source = table(vec![path.clone()]);
    source.header = false;
    source.user = Some("1".into());
    source.item = Some("2".into());
    source.time = Some("5".into());
    source.keep = BTreeMap::from([("4".into(), vec!["pv".into(), "fav".into()])]);
    let log = read(&source).unwrap();
    let ids: Vec<_> = events(&log).into_iter().map(|(u, i, t)| format!("{u} {i} {t:?}")).collect();
    assert_eq!(ids, ["1 22 Some(5)", "2 22 Some(7)", "2 24 Some(8)"]);
    assert_eq!(log.left_out, 1);
    source.keep.insert("3".into(), vec!["8".into()]);
    assert_eq!(read(&source).unwrap().left_out, 4);
    source.keep = BTreeMap::from([("3".into(), vec!["9.0".into(), "9007199254740993".into()])]);
    assert_eq!(read(&source).unwrap().left_out, 0);
    // That is a code.
    source.keep = BTreeMap::from([("3".into(), vec!["09".into()])]);
    assert_eq!(read(&source).unwrap().left_out, 4);
    source.keep = BTreeMap::from([("3".into(), vec!["9007199254740993".into()])]);
    put(&dir, "UserBehavior.csv", "1,22,9007199254740992,pv,5\n1,23,9007199254740993,pv,6\n");
    assert_eq!(read(&source).unwrap().left_out, 1);
}

#[test]
fn dates_and_numbers_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let log = |times: [&str; 3]| -> String {
        let rows = times.map(|time| format!("u,x,{time}\n"));
        format!("user,item,time\n{}", rows.concat())
    };
    for (times, line) in
        [(["2016-05-09", "1462800000", "2016-05-09"], 3), (["5", "7", "2016-05-09"], 4)]
    {
        let path = put(&dir, "a.csv", log(times));
        let error = read(&table(vec![path])).unwrap_err().to_string();
        assert!(error.contains(&format!("a.csv:{line}: ")) && error.contains("dates"), "{error}");
    }
    let with_day = "user,item,time,day\nu,x,5,2016-05-09\nu,y,2016-05-09,2016-05-09\n";
    let mut source = table(vec![put(&dir, "a.csv", with_day)]);
    source.day = Some("day".into());
    assert!(read(&source).unwrap_err().to_string().contains("a.csv:3: "));
    let files = [put(&dir, "a.csv", log(["5"; 3])), put(&dir, "b.csv", log(["2016-05-09"; 3]))];
    let error = read(&table(files.to_vec())).unwrap_err().to_string();
    assert!(error.contains("b.csv:2: "), "{error}");
}

#[test]
fn several_files_are_read_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    let a = put(&dir, "a.csv", "user,item,time\nu,x,1\n");
    let b = put(&dir, "b.tsv", "time\titem\tuser\n2\ty\tu\n");
    let log = read(&table(vec![b, a])).unwrap();
    let ids: Vec<_> = events(&log).into_iter().map(|event| event.1).collect();
    assert_eq!(ids, ["y", "x"]);
    assert_eq!(log.files.len(), 2);
}

#[test]
fn the_plain_forms_go_by_order() {
    let dir = tempfile::tempdir().unwrap();
    let of = |format, files| Source { files, format: Some(format), ..Source::default() };
    let pairs = put(&dir, "pairs.txt", gz(b"1 5\n1\t6\n\n 2 5\r\n"));
    let log = read(&of(Format::UserItem, vec![pairs])).unwrap();
    let of_log = |log: &Log| -> Vec<String> {
        events(log)
            .into_iter()
            .map(|(u, i, t)| format!("{u}:{i}{}", t.map_or("", |_| "!")))
            .collect()
    };
    assert_eq!(of_log(&log), ["1:5", "1:6", "2:5"]);
    let first = put(&dir, "first.txt", "5 6\n\n7\n");
    let second = put(&dir, "second.txt", "5\n");
    let log = read(&of(Format::Sequences, vec![first, second])).unwrap();
    assert_eq!(of_log(&log), ["1:5", "1:6", "3:7", "4:5"]);
}

#[test]
fn ids_of_64_bits_keep_every_digit_in_json() {
    let ids = ["18446744073709551615", "18446744073709551614", "-9223372036854775808"];
    // As text there may be more of them.
    let ids = ids.map(str::to_owned).into_iter().chain(["\"18446744073709551616\"".into()]);
    let ids: Vec<String> = ids.collect();
    let line = |id: &String| format!("{{\"user\": 1, \"item\": {id}, \"time\": 3}}\n");
    let dir = tempfile::tempdir().unwrap();
    let log = read(&table(vec![put(&dir, "a.json", ids.iter().map(line).collect::<String>())]));
    let expected: Vec<String> = ids.iter().map(|id| id.replace('"', "")).collect();
    assert_eq!(log.unwrap().interactions.items, expected);
}

#[test]
fn a_missing_column_is_told_with_what_there_is() {
    for (name, content) in [
        ("a.csv", "usr,item,time\nu,i,1\n".as_bytes().to_vec()),
        ("a.tsv", b"usr\titem\ttime\nu\ti\t1\n".to_vec()),
    ] {
        assert_eq!(
            complaint(name, content, |_| ()),
            format!(
                "{name} has no column `user`: did you mean `usr`? (there are: usr, item, time)"
            )
        );
    }
    let json = "{\"user\": 1, \"item\": 2, \"time\": 3}\n{\"user\": 1, \"itm\": 2, \"time\": 3}\n";
    let said = complaint("a.jsonl", json, |_| ());
    assert!(said.starts_with("a.jsonl:2 has no column `item`: did you mean `itm`?"), "{said}");
    let parquet = parquet_bytes(vec!["a"; 5]);
    let said = complaint("a.parquet", parquet, |source| source.item = Some("Items".into()));
    assert_eq!(
        said,
        "a.parquet has no column `Items`: did you mean `item`? (there are: time, user, item)"
    );
    let said = complaint("a.csv", "user,item,time\nu,i,1\n", |source| {
        source.keep.insert("kind".into(), vec![]);
    });
    assert!(said.contains("no column `kind`"), "{said}");
}

#[test]
fn bad_lines_are_told_with_file_and_line() {
    let is = |name: &str, content: &[u8], expected: &str| {
        assert_eq!(complaint(name, content, |_| ()), expected);
    };
    let csv = "user,item,time\nu,i,1\n\"multi\nline\",i,2\n";
    let with = |line: &str| format!("{csv}{line}\nu,i,3\n").into_bytes();
    is("a.csv", &with("u,i"), "a.csv:5: 2 fields where 3 are expected");
    is("a.csv", &with("u,i,1,1"), "a.csv:5: 4 fields where 3 are expected");
    is("a.csv", &with(",i,1"), "a.csv:5: the user id (column `user`) is empty");
    is("a.csv", &with("u,\"\",1"), "a.csv:5: the item id (column `item`) is empty");
    let no_time = "is no time: expected a number, or a date like 2016-05-09 or 2016-05-09T10:11:12";
    is("a.csv", &with("u,i,soon"), &format!("a.csv:5: \"soon\" (column `time`) {no_time}"));
    is("a.csv", &with("u,i,"), &format!("a.csv:5: \"\" (column `time`) {no_time}"));
    is("a.csv", &[csv.as_bytes(), b"u,\xff,1\n"].concat(), "a.csv:5: this line is not UTF-8 text");
    let said = complaint("a.csv", with("u,\"i,1"), |_| ());
    assert!(said.starts_with("a.csv:5: "), "{said}");
    // Stray quotes in two fields would make one of all that stands between them, read or not.
    for torn in ["u,5\" i,1\nu,7\" i,2", "u,5\" i,6\" i"] {
        let said = complaint("a.csv", with(torn), |_| ());
        assert!(said.starts_with("a.csv:5: a stray quote in a field"), "{said}");
    }
    for title in ["5\" x", "\"a\" 5\" x"] {
        let text = format!(
            "user,item,time,title\nu,i,1,\"a, \"\"b\"\"\nc\"\nu,i,2,{title}\nv,j,3,{title}\n"
        );
        let said = complaint("a.csv", text, |_| ());
        assert!(said.starts_with("a.csv:4: a stray quote in a field"), "{said}");
    }
    let json = "{\"user\": 1, \"item\": 2, \"time\": 3}\n";
    let said = complaint("a.json", format!("{json}\n{{\"user\": 1,\n"), |_| ());
    assert!(said.starts_with("a.json:3: this line is no JSON object: "), "{said}");
    assert!(said.contains(" at column ") && !said.contains("at line"), "{said}");
    let said = complaint("a.json", format!("{json}[1]\n"), |_| ());
    assert!(said.starts_with("a.json:2: this line is no JSON object: "), "{said}");
    let said = complaint("a.json", json.replace('2', "null"), |_| ());
    assert_eq!(said, "a.json:1: `item` has no value");
    for long in ["18446744073709551616", "18446744073709551617", "-9223372036854775809"] {
        let said = complaint("a.json", json.replace('2', long), |_| ());
        assert!(said.starts_with("a.json:1: "), "{said}");
        assert!(said.contains("more digits than are kept of one: write it as text"), "{said}");
    }
    let said = complaint("a.json", json.replace('3', "true"), |_| ());
    assert!(said.starts_with("a.json:1: \"true\" (column `time`) is no time"), "{said}");
    let said = complaint("a.parquet", parquet_bytes(vec!["a", "b", "c", "", "e"]), |_| ());
    assert_eq!(said, "a.parquet: row 4: the user id (column `user`) is empty");
    let plain = |source: &mut Source| {
        *source = Source {
            files: source.files.clone(),
            format: Some(Format::UserItem),
            ..Source::default()
        }
    };
    let said = complaint("a.txt", "1 2\n1 2 3\n", plain);
    assert_eq!(said, "a.txt:2: 3 fields where two, `user item`, are expected");
}

#[test]
fn files_that_are_missing_empty_or_cut_off_are_refused() {
    assert_eq!(complaint("a.csv", "", |_| ()), "a.csv holds no interactions");
    assert_eq!(complaint("a.csv", "user,item,time\n", |_| ()), "a.csv holds no interactions");
    assert_eq!(complaint("a.json", "\n\n", |_| ()), "a.json holds no interactions");
    assert_eq!(complaint("a.parquet", gz(b""), |_| ()), "a.parquet holds no interactions");
    let said = complaint("a.parquet", "PAR1 and so on", |_| ());
    assert!(said.starts_with("a.parquet cannot be read as a Parquet file"), "{said}");
    let said = complaint("a.csv", "user,item,time\n", |source| source.files[0].push("b"));
    assert_eq!(said, "there is no file a.csv/b");
    let text: String = (0..10_000).map(|n| format!("{n},{},{}\n", n * 7, n * n)).collect();
    let packed = gz(format!("user,item,time\n{text}").as_bytes());
    for end in [packed.len() / 2, packed.len() - 3, 5] {
        assert_eq!(
            complaint("a.csv.gz", &packed[..end], |_| ()),
            "a.csv.gz ends in the middle of its gzip data: it was cut off, get it again"
        );
    }
    let mut damaged = packed.clone();
    damaged[packed.len() / 2] ^= 0xff;
    let said = complaint("a.csv.gz", damaged, |_| ());
    assert!(said.contains("a.csv.gz") && said.contains("get it again"), "{said}");
}

#[test]
fn calls_that_cannot_work_are_misuse() {
    let refused = |change: &dyn Fn(&mut Source)| {
        let dir = tempfile::tempdir().unwrap();
        let mut source = table(vec![put(&dir, "a.csv", "user,item,time\nu,i,1\n")]);
        change(&mut source);
        let error = read(&source).unwrap_err();
        assert_eq!(crate::error::exit_status(&error), 2, "{error:#}");
        error.to_string()
    };
    assert!(refused(&|source| source.user = None).contains("user ids is not given"));
    assert!(refused(&|source| source.format = Some(Format::UserItem)).contains("leave `user` out"));
    assert!(refused(&|source| source.separator = Some('→')).contains("cannot separate"));
    assert!(refused(&|source| _ = source.files[0].pop()).contains("is not a file"));
    let error = Format::of(Path::new("useritem.txt.gz")).unwrap_err();
    assert!(error.to_string().contains("does not tell the format"), "{error}");
    assert!(refused(&|source| source.files.clear()).contains("no input file"));
    assert!(refused(&|source| source.item = Some("itme".into())).contains("`item`"));
}

#[test]
fn formats_go_by_the_names_that_descriptions_have() {
    for format in Format::ALL {
        let source: Source = toml::from_str(&format!("format = \"{}\"", format.name())).unwrap();
        assert_eq!(source.format, Some(format));
    }
}
