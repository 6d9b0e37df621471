//! `embed`: vectors of items that need not be known.

use std::fs;

use serde_json::{Value, json};
use tch::Tensor;

use crate::known::{Known, record, tied, write_records};
use crate::weights::{Weights, assert_close, numbers};

#[test]
fn embed_gives_the_vectors_of_items_that_need_not_be_known() {
    let known = Known::exported(&tied());
    let (place, weights) = (&known.place, Weights::of(&known, true));
    let new = [
        record("new-1", json!({"brand": "never", "tags": ["t1", "never"], "more": 1})),
        known.records[4].clone(),
        record("new-2", json!({})),
        known.records[known.records.len() - 1].clone(),
        record("new-3", json!({"price": "1.5", "tags": []})),
    ];
    write_records(place, "new.jsonl", &new);
    let embed = ["embed", "towers", "--items", "new.jsonl", "--out", "new.npy"];
    let said = place.ok(&embed);
    let ids = [0, 5, 0, known.records.len(), 0];
    let expected = |of: &[(Value, usize)]| -> Vec<f64> {
        of.iter().flat_map(|(record, id)| weights.vector(*id, record)).collect()
    };
    let all: Vec<(Value, usize)> = new.iter().cloned().zip(ids).collect();
    // Text that is a number is one where a number is meant.
    let mut told = all.clone();
    told[4].0["price"] = json!(1.5);
    let vectors = Tensor::read_npy(place.path("new.npy")).unwrap();
    assert_eq!(vectors.size(), [5, 8]);
    assert_close(&numbers(&vectors), &expected(&told), "from JSON");
    let written = fs::read_to_string(place.path("new.ids.txt")).unwrap();
    let names: Vec<&str> = new.iter().map(|own| own["item"].as_str().unwrap()).collect();
    assert_eq!(written.lines().collect::<Vec<_>>(), names);
    let figures = |name: &str| -> Vec<String> {
        let lines = said.lines().skip_while(|line| !line.starts_with(name)).take(2);
        lines.map(|line| line.rsplit("  ").next().unwrap().trim().to_owned()).collect()
    };
    assert_eq!(figures("items"), ["5", "2"], "{said}");
    assert_eq!(figures("field brand"), ["60.00 %", "1"], "{said}");
    assert_eq!(figures("field tags")[1], "1", "{said}");

    let csv = "price,sku,brand,tags\n,x,,t1|t2\n3,y,\"brand \"\"1\"\"\",\n";
    fs::write(place.path("new.csv"), csv).unwrap();
    let of_csv = ["embed", "towers", "--items", "new.csv", "--id", "sku", "--out", "of-csv.npy"];
    place.ok(&of_csv);
    let told =
        [(json!({"tags": ["t1", "t2"]}), 0), (json!({"price": 3, "brand": "brand \"1\""}), 0)];
    let vectors = Tensor::read_npy(place.path("of-csv.npy")).unwrap();
    assert_close(&numbers(&vectors), &expected(&told), "from CSV");

    let before = fs::read(place.path("new.npy")).unwrap();
    place.refused(&embed, 2, &["new.npy exists already", "--force"]);
    write_records(place, "bad.jsonl", &[new[0].clone(), record("x", json!({"price": "dear"}))]);
    let bad = ["embed", "towers", "--items", "bad.jsonl", "--out", "new.npy", "--force"];
    place.refused(&bad, 1, &["bad.jsonl:2", "price", "dear"]);
    assert_eq!(fs::read(place.path("new.npy")).unwrap(), before);
    let out = ["embed", "towers", "--items", "new.csv", "--out", "new.txt"];
    place.refused(&out, 2, &["new.txt", ".npy"]);
    place.refused(&["embed", "towers", "--items", "none.csv", "--out", "x.npy"], 2, &["none.csv"]);
    fs::write(place.path("line.csv"), "item,price,brand,tags\n\"a\nb\",1,,\n").unwrap();
    let line = ["embed", "towers", "--items", "line.csv", "--out", "x.npy"];
    place.refused(&line, 2, &["line.csv:2", "line end"]);
    fs::write(place.path("twice.csv"), "item,price,brand,tags\na,1,,\nb,1,,\na,2,,\n").unwrap();
    let twice = ["embed", "towers", "--items", "twice.csv", "--out", "x.npy"];
    place.refused(&twice, 2, &["twice.csv:4", "the id a was there before"]);
    assert!(!place.path("x.npy").exists() && !place.path("x.ids.txt").exists());
    place.ok(&[&embed[..], &["--force"]].concat());

    // Where one of the two cannot be replaced, new ids are not left beside old vectors.
    for (folder, other, left) in
        [("d.npy", "d.ids.txt", None), ("e.ids.txt", "e.npy", Some("old".to_owned()))]
    {
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(other), "old").unwrap();
        let out = format!("{}.npy", &folder[..1]);
        let call = ["embed", "towers", "--items", "new.jsonl", "--out", &out, "--force"];
        place.refused(&call, 1, &[folder, "irectory"]);
        assert_eq!(fs::read_to_string(place.path(other)).ok(), left);
        for staged in [folder, other].map(|name| format!(".{name}.partial")) {
            assert!(!place.path(&staged).exists(), "{staged}");
        }
    }
}
