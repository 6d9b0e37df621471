//! Records are the same in every format, and what is wrong with one is told with its place.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};
use polars::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::data::field_value::Told;
use crate::data::{Field, FieldKind, Schema};

fn put(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn schema() -> Schema {
    let field =
        |name: &str, kind| Field { name: name.into(), kind, values: vec![], bounds: vec![] };
    Schema {
        fields: vec![
            field("brand", FieldKind::Category),
            field("price", FieldKind::Number),
            field("tags", FieldKind::Categories),
        ],
    }
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// The same three records in every format.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let csv = "tags,item,x,price,brand\nred|\"b, c\",7,\"a\nb\",0.1,Zoë\n,ä,,,\n1.5|red,9,,-2,5\n";
    let csv = csv.replace("red|\"b, c\"", "\"red|b, c\"");
    let tsv = "item\tbrand\tprice\ttags\n7\tZoë\t0.1\tred|b, c\nä\t\t\t\n9\t5\t-2\t1.5|red\n";
    let json = concat!(
        r#"{"item": 7, "brand": "Zoë", "price": 0.1, "tags": ["red", null, "b, c"], "x": [[{}]]}"#,
        "\n\n",
        r#"{"tags": [], "item": "ä", "brand": null}"#,
        "\r\n",
        r#"{"price": "-2", "brand": 5, "item": "9", "tags": [1.5, "", "red"]}"#,
    );
    let tags = [vec!["red", "b, c"], vec![], vec!["1.5", "red"]];
    let tags = tags.map(|tags| Some(Series::new("".into(), tags)));
    let parquet = |price: Series| {
        let columns = vec![
            Column::new("item".into(), ["7", "ä", "9"]),
            Column::new("brand".into(), [Some("Zoë"), None, Some("5")]),
            Column::from(price.with_name("price".into())),
            Column::new("tags".into(), &tags[..]),
        ];
        let mut bytes = Vec::new();
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        ParquetWriter::new(&mut bytes).with_row_group_size(Some(2)).finish(&mut frame).unwrap();
        bytes
    };
    vec![
        ("a.csv", csv.clone().into()),
        ("b.csv", format!("\u{feff}{}", csv.replace('\n', "\r\n").replace("a\r\nb", "ab")).into()),
        ("a.tsv", tsv.into()),
        ("a.jsonl", json.into()),
        ("a.parquet", parquet(Series::new("".into(), [Some(0.1f64), None, Some(-2.0)]))),
        ("b.parquet", parquet(Series::new("".into(), [Some(0.1f32), None, Some(-2.0)]))),
    ]
}

/// What each record tells by the kinds of its fields.
fn told(path: &Path) -> Vec<(String, Vec<Told>)> {
    let schema = schema();
    let records = read_records(path, &schema, "item").unwrap();
    let told = |record: Record| {
        let fields = schema.fields.iter();
        let value =
            |field: &Field| record.values[&field.name].told(&field.name, field.kind).unwrap();
        (record.id.clone(), fields.map(value).collect())
    };
    records.into_iter().map(told).collect()
}

#[test]
fn every_format_tells_the_same_gzipped_or_not() {
    let texts = |texts: &[&str]| Told::Texts(texts.iter().map(|text| text.to_string()).collect());
    let expected = [
        ("7", vec![texts(&["Zoë"]), Told::Number(0.1), texts(&["red", "b, c"])]),
        ("ä", vec![Told::Missing; 3]),
        ("9", vec![texts(&["5"]), Told::Number(-2.0), texts(&["1.5", "red"])]),
    ];
    let expected = expected.map(|(id, told)| (id.to_owned(), told));
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files() {
        assert_eq!(told(&put(&dir, name, &content)), expected, "{name}");
        assert_eq!(told(&put(&dir, &format!("{name}.gz"), gz(&content))), expected, "{name}");
    }
}

#[test]
fn numbers_and_truths_in_parquet_are_the_text_that_json_lines_tell() {
    let list = |list: Series| Some(list);
    let columns = vec![
        Column::new("item".into(), [1i64, 2]),
        Column::new("brand".into(), [1e16f64, 0.25]),
        Column::new("price".into(), [3u32, 4]),
        Column::new(
            "tags".into(),
            &[list(Series::new("".into(), [5.0f64, 0.1])), list(Series::new("".into(), [1e-7f64]))]
                [..],
        ),
    ];
    let mut bytes = Vec::new();
    let mut frame = DataFrame::new_infer_height(columns).unwrap();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let parquet = told(&put(&dir, "a.parquet", bytes));
    let json = "{\"item\":1,\"brand\":1e16,\"price\":3,\"tags\":[5.0,0.1]}\n\
                {\"item\":2,\"brand\":0.25,\"price\":4.0,\"tags\":1e-7}\n";
    assert_eq!(parquet, told(&put(&dir, "a.jsonl", json)));

    let truth = vec![
        Column::new("item".into(), ["1", "2"]),
        Column::new("brand".into(), [true, false]),
        Column::new("price".into(), [Some(0.5f32), None]),
        Column::new("tags".into(), ["a|b", "c"]),
    ];
    let mut bytes = Vec::new();
    let mut frame = DataFrame::new_infer_height(truth).unwrap();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    let parquet = told(&put(&dir, "b.parquet", bytes));
    let json = "{\"item\":1,\"brand\":true,\"price\":0.5,\"tags\":\"a|b\"}\n\
                {\"item\":2,\"brand\":false,\"tags\":[\"c\"]}\n";
    assert_eq!(parquet, told(&put(&dir, "b.jsonl", json)));
}

/// The sentence that reading one file of that name and content fails with, and the exit status.
fn complaint(name: &str, content: impl AsRef<[u8]>) -> (String, u8) {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir, name, content);
    let schema = schema();
    let fields = schema.fields.iter();
    let fields =
        fields.map(|f| AskedField { name: &f.name, kind: f.kind, column: &f.name }).collect();
    let source = RecordSource { files: vec![path], ..RecordSource::default() };
    let error = source.read(&Asked { id: "item", fields }).unwrap_err();
    let said = format!("{error:#}").replace(&format!("{}/", dir.path().display()), "");
    (said, crate::error::exit_status(&error))
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_field() {
    let csv = |lines: &str| format!("item,brand,price,tags\na,x,1,y\n{lines}");
    for (lines, status, expected) in [
        (",x,1,y\n", 1, "f.csv:3: the id (column `item`) is empty"),
        ("b,x,dear,y\n", 1, "f.csv:3: the field `price`: \"dear\" is no finite number"),
        ("b,x,NaN,y\n", 1, "f.csv:3: the field `price`: \"NaN\" is no finite number"),
        ("b,x,1e999,y\n", 1, "f.csv:3: the field `price`: \"1e999\" is no finite number"),
        ("b,x,1\n", 1, "f.csv:3: 3 fields where 4 are expected"),
        (
            "\nb,x,1,y\nb,x,1,z\n",
            1,
            "f.csv:5: the id `b` stands in f.csv:4 too, with another `tags`: l",
        ),
        (
            "b,x,1,y\nb,x,2,y\n",
            1,
            "f.csv:4: the id `b` stands in f.csv:3 too, with another `price`",
        ),
        ("b,x,1,y\nb,,1,y\n", 1, "f.csv:4: the id `b` stands in f.csv:3 too, with another `brand`"),
    ] {
        assert_said(complaint("f.csv", csv(lines)), status, expected);
    }
    let csv = "item,brand,prise,tags\na,x,1,y\n";
    assert_said(complaint("f.csv", csv), 2, "f.csv has no column `price`: did you mean `prise`?");
    assert_said(complaint("f.csv", "item,brand,price,tags\n"), 1, "f.csv holds no records");
    assert_said(complaint("f.jsonl", ""), 1, "f.jsonl holds no records");
    assert_said(complaint("f.dat", "x"), 2, "the name f.dat does not tell how it is written");

    let json =
        |line: &str| format!("{{\"item\":\"a\",\"brand\":1,\"price\":2,\"tags\":[]}}\n{line}\n");
    for (line, status, expected) in [
        (
            r#"{"item":"b","brand":["x"]}"#,
            1,
            "f.jsonl:2: the field `brand`: a list where one value",
        ),
        (
            r#"{"item":"b","price":[1]}"#,
            1,
            "f.jsonl:2: the field `price`: a list where a number is",
        ),
        (r#"{"item":"b","price":"one"}"#, 1, "f.jsonl:2: the field `price`: \"one\" is no finite"),
        (
            r#"{"item":"b","price":{"x":1}}"#,
            1,
            "f.jsonl:2: invalid type: map, expected text or a number, or a list of them, in the field `price`",
        ),
        (
            r#"{"item":"b","tags":[["x"]]}"#,
            1,
            "f.jsonl:2: invalid type: sequence, expected text or a number in the field `tags`",
        ),
        (r#"{"item":"b","tags":1,"tags":2}"#, 1, "f.jsonl:2: `tags` stands there twice"),
        (r#"{"item":"","tags":1}"#, 1, "f.jsonl:2: the id (column `item`) is empty"),
        (r#"{"item":null}"#, 1, "f.jsonl:2: `item` has no value"),
        (r#"{"itm":1}"#, 2, "f.jsonl:2 has no column `item`: did you mean `itm`?"),
        (r#"{"item":1"#, 1, "f.jsonl:2: this line is no JSON object"),
    ] {
        assert_said(complaint("f.jsonl", json(line)), status, expected);
    }
    let keyless = "{\"item\":1,\"brand\":2,\"tags\":3}\n";
    let expected = "f.jsonl: no line has the key `price` of the field `price`";
    assert_said(complaint("f.jsonl", keyless), 2, expected);

    let parquet = |brand: Column, price: Column| {
        let columns = vec![
            Column::new("item".into(), ["a", "b"]),
            brand.with_name("brand".into()),
            price.with_name("price".into()),
            Column::new("tags".into(), ["x", "y"]),
        ];
        let mut bytes = Vec::new();
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        complaint("f.parquet", bytes)
    };
    let text = || Column::new("".into(), ["x", "y"]);
    let list = || {
        Column::new("".into(), &[Series::new("".into(), ["x"]), Series::new("".into(), ["y"])][..])
    };
    let said = parquet(list(), Column::new("".into(), [1, 2]));
    assert_said(
        said,
        1,
        "f.parquet: the field `brand`: the column `brand` holds lists where one value",
    );
    let said = parquet(text(), list());
    assert_said(
        said,
        1,
        "f.parquet: the field `price`: the column `price` holds lists where a number",
    );
    let said = parquet(text(), Column::new("".into(), [1.0, f64::INFINITY]));
    assert_said(said, 1, "f.parquet: row 2: the field `price`: \"inf\" is no finite number");
}

fn assert_said((said, status): (String, u8), expected_status: u8, expected: &str) {
    assert!(said.starts_with(expected), "{said}\n{expected}");
    assert_eq!(status, expected_status, "{said}");
}

#[test]
fn what_a_record_says_twice_is_no_contradiction() {
    let dir = tempfile::tempdir().unwrap();
    let one = put(&dir, "a.csv", "item,tags\nb,x|y\na,\nb,y|x|x\n");
    let two = put(
        &dir,
        "b.jsonl",
        "{\"item\":\"b\",\"tags\":[\"y\",\"x\"]}\n{\"item\":\"c\",\"tags\":\"x|y\"}\n",
    );
    let field = AskedField { name: "tags", kind: FieldKind::Categories, column: "tags" };
    let asked = Asked { id: "item", fields: vec![field] };
    let source = RecordSource { files: vec![one, two], ..RecordSource::default() };
    let (records, files) = source.read(&asked).unwrap();
    assert_eq!(records.ids, ["b", "a", "c"]);
    assert_eq!((0..3).map(|r| records.fields[0].numbers(r).len()).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(files.len(), 2);
}

#[test]
fn keys_that_a_new_record_lacks_are_missing_and_others_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir, "new.jsonl", "{\"asin\":\"n\",\"tags\":\"x\",\"title\":{}}\n");
    let record = &read_records(&path, &schema(), "asin").unwrap()[0];
    let value = |name: &str, value| (name.to_owned(), value);
    let expected = BTreeMap::from([
        value("brand", FieldValue::Missing),
        value("price", FieldValue::Missing),
        value("tags", FieldValue::One("x".into())),
    ]);
    assert_eq!((record.id.as_str(), &record.values), ("n", &expected));
    assert!(record.place.ends_with("new.jsonl:1"), "{}", record.place);
    let said = read_records(&path, &schema(), "tags").unwrap_err().to_string();
    assert!(said.starts_with("the field `tags` is the column of the ids"), "{said}");
}
