//! What the snippet of an export's README makes of values of every kind, beside what the program does.

use std::fs;

use croloss::data::{Record, Schema, read_records};
use serde_json::{Value, json};

use crate::common::python;

/// Fields whose values are written as numbers and truths are.
fn fields() -> String {
    let kinds = ["0.5", "1e-7", "1e16", "5", "5.0", "true"];
    json!({"fields": [
        {"name": "kind", "kind": "category", "values": kinds},
        {"name": "price", "kind": "number", "bounds": [1.5, 10.0]},
        {"name": "tags", "kind": "categories", "values": ["5", "5.0", "a", "false"]},
    ]})
    .to_string()
}

/// What may be told of a field.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!(5),
        json!(5.0),
        json!(0.5),
        json!(1e16),
        json!(1e-7),
        json!(-3),
        json!(true),
        json!(false),
        json!("5"),
        json!("1.5"),
        json!(" 10 "),
        json!("NaN"),
        json!("dear"),
        json!([]),
        json!(["", null]),
        json!([5, 5.0, 5, false, null, "a", "?", "!"]),
    ]
}

const PRINT: &str = r#"
import sys
for record in json.loads(sys.argv[2]):
    try:
        print(*codes(record))
    except ValueError:
        print("refused")
"#;

/// Holds the codes of a snippet that reads the file of fields `name` to those that the program makes
/// of the same records.
pub fn assert_codes(snippet: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), fields()).unwrap();
    let record = |field: &str, value: Value| json!({"item": "x", (field): value});
    let records: Vec<Value> = ["kind", "price", "tags"]
        .into_iter()
        .flat_map(|field| values().into_iter().map(move |value| record(field, value)))
        .collect();
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let path = folder.path().join("records.jsonl");
    fs::write(&path, lines).unwrap();

    let schema = Schema::parse(&fields()).unwrap();
    let codes = |record: &Record| match schema.codes(&record.values) {
        Ok(codes) => codes.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        Err(_) => "refused".to_owned(),
    };
    let expected: Vec<String> =
        read_records(&path, &schema, "item").unwrap().iter().map(codes).collect();
    // In `kind` the lists; in `price` these, the truths, "NaN" and "dear".
    assert_eq!(expected.iter().filter(|own| *own == "refused").count(), 3 + 7);
    let script = snippet.split("tower = ").next().unwrap().to_owned() + PRINT;
    if let Some(said) = python(&script, folder.path(), &Value::from(records.clone()).to_string()) {
        assert_eq!(said.lines().count(), expected.len(), "{said}");
        for ((said, expected), record) in said.lines().zip(&expected).zip(&records) {
            assert_eq!(said, expected, "{record}");
        }
    }
}
