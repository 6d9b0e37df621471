//! Files of requests in every format, good ones and others.

use super::*;
use polars::df;

fn read(path: &Path) -> Result<Vec<Request>> {
    let (mut all, mut last) = (vec![], 0);
    let requests = Requests::open(path)?;
    requests.read(&mut |rows, done| {
        assert!(rows.len() <= BLOCK && done > last && done <= requests.size);
        last = done;
        all.extend(rows);
        Ok(())
    })?;
    Ok(all)
}

fn of(line: u64, user: &str, history: &[&str]) -> Request {
    Request {
        line,
        user: user.into(),
        history: history.iter().map(|item| item.to_string()).collect(),
        allow: None,
        deny: None,
        fields: None,
    }
}

#[test]
fn all_formats_give_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    let expected = [of(2, "u,1", &["a", "7"]), of(3, "2", &[]), of(4, "3", &["b"])];
    std::fs::write(path("a.csv"), "other,history,user\nx,a 7,\"u,1\"\nx,,2\r\nx,b,3\n").unwrap();
    assert_eq!(read(&path("a.csv")).unwrap(), expected);
    let lines = "\n{\"user\":\"u,1\",\"history\":[\"a\",7]}\n{\"history\":[],\"more\":{}}\n\
                 {\"user\":3,\"history\":[\"b\"]}";
    std::fs::write(path("a.jsonl"), lines).unwrap();
    assert_eq!(read(&path("a.jsonl")).unwrap(), expected);
    let expected: Vec<Request> =
        expected.into_iter().zip(1..).map(|(r, n)| Request { line: n, ..r }).collect();
    let lists: Vec<Series> = [vec!["a", "7"], vec![], vec!["b"]]
        .into_iter()
        .map(|ids| Series::new("".into(), ids))
        .collect();
    let users = ["u,1", "2", "3"];
    let texts = df!("user" => users, "history" => ["a 7", "", "b"]).unwrap();
    let lists = df!("user" => users, "history" => lists).unwrap();
    for mut frame in [texts, lists] {
        let file = File::create(path("a.parquet")).unwrap();
        ParquetWriter::new(file).finish(&mut frame).unwrap();
        assert_eq!(read(&path("a.parquet")).unwrap(), expected);
    }
    let numbers: Vec<Series> =
        [vec![7i64, 8], vec![9]].into_iter().map(|ids| Series::new("".into(), ids)).collect();
    let file = File::create(path("a.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut df!("history" => numbers).unwrap()).unwrap();
    let expected = [of(1, "1", &["7", "8"]), of(2, "2", &["9"])];
    assert_eq!(read(&path("a.parquet")).unwrap(), expected);
}

#[test]
fn lines_of_json_allow_and_deny() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    let lines = "{\"history\":[],\"allow\":[]}\n{\"history\":[],\"allow\":[7,\"b\"],\"deny\":[8]}";
    std::fs::write(&path, lines).unwrap();
    let ids = |ids: &[&str]| Some(ids.iter().map(|id| id.to_string()).collect());
    let expected = [
        Request { allow: ids(&[]), ..of(1, "1", &[]) },
        Request { allow: ids(&["7", "b"]), deny: ids(&["8"]), ..of(2, "2", &[]) },
    ];
    assert_eq!(read(&path).unwrap(), expected);
}

#[test]
fn lines_of_json_tell_fields() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    let fields = r#"{"age": 31, "tags": ["a", "b"]}"#;
    let lines =
        format!("{{\"history\":[],\"fields\":{fields}}}\n{{\"history\":[],\"fields\":null}}\n");
    std::fs::write(&path, lines).unwrap();
    let told = Some(serde_json::from_str(fields).unwrap());
    let expected = [Request { fields: told, ..of(1, "1", &[]) }, of(2, "2", &[])];
    assert_eq!(read(&path).unwrap(), expected);
}

#[test]
fn a_long_file_comes_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows: String = (0..2 * BLOCK + 5).map(|row| format!("i{row}\n")).collect();
    std::fs::write(&path, format!("history\n{rows}")).unwrap();
    let all = read(&path).unwrap();
    assert_eq!(all.len(), 2 * BLOCK + 5);
    assert_eq!(all[5000], of(5002, "5001", &["i5000"]));
}

#[test]
fn what_cannot_be_understood_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, text: &str, words: &[&str]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        words.iter().for_each(|word| assert!(error.contains(word), "{word}: {error}"));
    };
    refused("a.csv", "user,item\n1,2\n", &["a.csv", "no column `history`", "user, item"]);
    refused("a.csv", "user,history\n1,2\n1,2,3\n", &["a.csv:3", "3 fields"]);
    refused("a.jsonl", "{\"history\":[1]}\n{\"history\":[1.5]}\n", &["a.jsonl:2", "whole number"]);
    refused("a.jsonl", "{\"history\":[\"a\"]\n", &["a.jsonl:1"]);
    refused(
        "a.jsonl",
        "{\"history\":[],\"fields\":{\"age\":{}}}\n",
        &["a.jsonl:1", "fields.age: invalid type: map, expected text or a number"],
    );
    refused("a.parquet", "PAR1", &["a.parquet"]);
    refused("a.tsv", "history\n", &[".csv, .jsonl and .parquet"]);
    let error = read(&dir.path().join("none.csv")).unwrap_err().to_string();
    assert!(error.contains("there is no file"), "{error}");
}
