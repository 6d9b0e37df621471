//! Fields of users from outside: exported towers, `recommend` and `serve` give what the definition
//! makes of the trained weights.

mod common;
#[allow(dead_code)] // Not all of it is asked for here.
#[path = "common/server.rs"]
mod server;
#[path = "common/snippet.rs"]
mod snippet;
#[path = "common/user_fields.rs"]
mod trained;

use std::fs;

use common::{CONFIG, SESSIONS, json, python};
use croloss::export::{Export, sha256_of};
use serde_json::{Value, json};
use server::{Scored, Server, scored};
use snippet::assert_codes;
use tch::{Device, IValue, Tensor};
use trained::{READ, Trained, numbers, told};

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= 1e-6 * y.abs().max(1.0), "{what}: {x} and {y}");
    }
}

/// Of users of whom all, nothing, a part, and what training has not met is told.
fn strangers() -> Vec<Value> {
    vec![
        json!({"country": "UK", "age": 31, "tags": ["b", "a"]}),
        json!({}),
        json!({"age": 22.5, "country": null}),
        json!({"country": "?", "tags": ["?", "a", "!", "a"]}),
        json!({"tags": [], "age": 1000}),
    ]
}

const HISTORIES: [&[i64]; 5] = [&[1, 2, 3], &[4], &[7, 7, 1, 5, 9, 30, 2], &[3], &[11, 12]];

/// Vectors by the plain, the frozen and the optimised tower, one number a line.
const SCRIPT: &str = r#"
import json, sys, torch
path, (histories, codes) = sys.argv[1] + "/user_tower.pt", map(torch.tensor, json.loads(sys.argv[2]))
load = lambda: torch.jit.load(path).eval()
with torch.no_grad():
    for tower in [load(), torch.jit.freeze(load()), torch.jit.optimize_for_inference(load())]:
        for vectors in [tower(histories, codes), tower(histories)]:
            print(*vectors.flatten().tolist(), sep="\n")
"#;

#[test]
fn towers_in_rust_and_python_read_the_fields_of_users() {
    let sessions = |tower: &str, loss: &str| {
        let own = format!("encoder = \"{tower}\"\nlayers = 2\n{READ}");
        SESSIONS
            .replace("encoder = \"transformer\"", &own)
            .replace("kind = \"ssm\"", &format!("kind = \"{loss}\""))
    };
    let ligr = sessions("transformer", "ssm").replace(READ, &format!("layer = \"ligr\"\n{READ}"));
    let untied = format!("tied = false\noutput_bias = true\n{READ}");
    let gru = sessions("gru", "bpr-max").replace(READ, &untied);
    let mean_pool = CONFIG.replace("[tower]", &format!("[tower]\n{READ}"));
    for configuration in [mean_pool, sessions("transformer", "ssm"), ligr, gru] {
        let trained = Trained::new(&configuration);
        let folder = trained.place.path("towers");
        let tower = Export::open(&folder).unwrap().user_tower(Device::Cpu).unwrap();
        let told = strangers();
        let padded = |rows: Vec<Vec<i64>>| -> Vec<Vec<i64>> {
            let longest = rows.iter().map(Vec::len).max().unwrap();
            rows.into_iter().map(|row| [&row[..], &vec![0; longest - row.len()]].concat()).collect()
        };
        let histories = padded(HISTORIES.map(<[i64]>::to_vec).to_vec());
        let own = |told: &Value| trained.codes(told).iter().map(|(code, _)| *code as i64).collect();
        let mut codes: Vec<Vec<i64>> = told.iter().map(own).collect();
        // Where there is no code a field is missing.
        codes[1] = vec![];
        let codes = padded(codes);
        let expected = numbers(&trained.users(&histories, &told));
        let missing = numbers(&trained.users(&histories, &vec![json!({}); told.len()]));
        assert!(expected.iter().zip(&missing).any(|(a, b)| (a - b).abs() > 1e-3));
        let forward = |arguments: &[&Vec<Vec<i64>>]| {
            let arguments: Vec<IValue> =
                arguments.iter().map(|rows| IValue::Tensor(Tensor::from_slice2(rows))).collect();
            let IValue::Tensor(vectors) = tower.forward_is(&arguments).unwrap() else {
                panic!("the tower gives no tensor");
            };
            numbers(&vectors)
        };
        assert_close(&forward(&[&histories, &codes]), &expected, "with fields");
        assert_close(&forward(&[&histories]), &missing, "without");
        let asked = json!([histories, codes]).to_string();
        if let Some(said) = python(SCRIPT, &folder, &asked) {
            let all: Vec<f32> = said.lines().map(|line| line.parse().unwrap()).collect();
            assert_eq!(all.len(), 6 * expected.len());
            let parts = all.chunks(expected.len());
            for (part, number) in parts.zip(0..) {
                let wanted = [&expected, &missing][number % 2];
                assert_close(part, wanted, &format!("in Python, {number}"));
            }
        }
    }
}

#[test]
fn the_readme_tells_how_codes_are_made_and_its_snippet_works() {
    let trained = Trained::plain();
    let folder = trained.place.path("towers");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("| `user_features.json` |"), "{readme}");
    let (_, section) = readme.split_once("## Fields of users").unwrap();
    let snippet = section.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert_codes(snippet, "user_features.json");
    let (_, record) = snippet.split_once("users = [").unwrap();
    let record: Value = serde_json::from_str(record.split(", {}]").next().unwrap()).unwrap();
    assert_eq!(record.as_object().unwrap().len(), 3);
    // Training has made something of what is missing, which is heard.
    let (_, table) = trained.model.user_features.as_ref().unwrap().table();
    assert!(f64::try_from(table.get(1).abs().max()).unwrap() > 0.0);
    if let Some(said) = python(snippet, &folder, "") {
        let said: Vec<&str> = said.split(|c: char| !c.is_ascii_digit()).collect();
        let ids: Vec<usize> = said.iter().filter_map(|own| own.parse().ok()).collect();
        let best = |history, told| -> Vec<usize> {
            let best = trained.best(history, told).into_iter().take(10);
            let items = &trained.dataset.items;
            let id = |name: String| items.iter().position(|item| item.original == name);
            best.map(|(name, _)| id(name).unwrap() + 1).collect()
        };
        assert_eq!(ids, [best(&[1, 2, 3], &record), best(&[4], &json!({}))].concat());
    }
}

/// By an item's own score: equal ones may come in another order.
fn assert_best(found: &Value, best: &Scored) {
    let found = scored(found);
    assert!(!found.is_empty());
    for ((item, score), (_, wanted)) in found.iter().zip(best) {
        let own = best.iter().find(|(name, _)| name == item).unwrap().1;
        assert!((score - wanted).abs() < 1e-5 && (score - own).abs() < 1e-5, "{item} {score}");
    }
}

#[test]
fn recommend_and_serve_hear_what_is_told_of_users() {
    let trained = Trained::plain();
    let place = &trained.place;
    let told = strangers();
    let line = |(history, fields): (&&[i64], &Value)| {
        json!({"history": trained.original(history), "fields": fields}).to_string()
    };
    let mut lines: Vec<String> = HISTORIES.iter().zip(&told).map(line).collect();
    lines.push(json!({"history": trained.original(&[5, 6]), "fields": null}).to_string());
    fs::write(place.path("in.jsonl"), lines.join("\n")).unwrap();
    let mut asked: Vec<(&[i64], &Value)> = HISTORIES.into_iter().zip(&told).collect();
    let nothing = json!({});
    asked.push((&[5, 6], &nothing));
    for from in ["run", "towers"] {
        let found = trained.recommended(&[from, "--input", "in.jsonl", "--top", "20"]);
        assert_eq!(found.len(), asked.len());
        for (found, (history, told)) in found.iter().zip(&asked) {
            assert_best(found, &trained.best(history, told));
        }
    }
    // An index is measured with them, and found by them.
    place.ok(&["index", "towers", "--input", "in.jsonl"]);
    let indexed = trained.recommended(&["towers", "--input", "in.jsonl", "--index"]);
    assert_best(&indexed[0], &trained.best(HISTORIES[0], &told[0]));

    let server = Server::start(place, &["--max-listed", "5"]);
    let histories: Vec<Vec<&str>> = asked.iter().map(|(own, _)| trained.original(own)).collect();
    let fields: Vec<&Value> = asked.iter().map(|(_, told)| *told).collect();
    let mut wish = json!({"histories": histories, "fields": fields, "top": 20});
    wish["fields"][5] = Value::Null;
    let (status, answer) = server.post(&wish);
    assert_eq!(status, 200, "{answer}");
    for (at, (history, told)) in asked.iter().enumerate() {
        assert_best(&answer["recommendations"][at], &trained.best(history, told));
    }
    // The place of a history is kept beside one that gets no answer.
    let (first, last) = (trained.original(&[1, 2, 3]), trained.original(&[3]));
    let (_, answer) = server
        .post(json!({"histories": [first, ["?"], last], "fields": [told[0], told[4], told[3]]}));
    assert_best(&answer["recommendations"][2], &trained.best(&[3], &told[3]));
    assert_eq!(answer["recommendations"][1]["error"], "its one item is not known");
    for (fields, why) in [
        (json!([{"age": "old"}]), "fields[0].age: \"old\" is no finite number"),
        (
            json!([{"contry": "UK"}]),
            "fields[0]: there is no field `contry`: did you mean `country`",
        ),
        (json!([{"plan": "x"}]), "fields[0]: there is no field `plan`"),
        (json!([{"age": {}}]), "fields[0].age: invalid type: map"),
        (json!([]), "fields: 0 where there are 1 histories"),
        (json!([{"tags": vec!["a"; 6]}]), "fields[0].tags: 6 where at most 5 are allowed"),
    ] {
        let (status, answer) = server.post(json!({"histories": [[]], "fields": fields}));
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().starts_with(why), "{answer}");
    }
    let described: Value = serde_json::from_str(&server.get("/openapi.json").1).unwrap();
    let fields = &described["components"]["schemas"]["Wish"]["properties"]["fields"];
    let properties = fields["items"]["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["age", "country", "tags"]);
    assert_eq!(properties["tags"]["maxItems"], 5);
    assert_eq!(properties["age"]["type"], json!(["number", "string", "null"]));
    assert!(!described.to_string().contains("UK"));
}

#[test]
fn users_of_the_dataset_have_their_own_fields_and_others_none() {
    let trained = Trained::plain();
    let users = &trained.dataset.users;
    let history = |n: usize| -> Vec<i64> {
        trained.dataset.sequences.get(n).iter().map(|id| i64::from(*id)).collect()
    };
    for arguments in [&["run"][..], &["towers", "--data", "data"]] {
        let found = trained.recommended(&[arguments, &["--all-users"]].concat());
        assert_eq!(found.len(), users.len());
        for (n, found) in found.iter().enumerate().step_by(7) {
            assert_eq!(found["user"], json!(users[n]));
            assert_best(found, &trained.best(&history(n), &told(n).unwrap_or(json!({}))));
        }
        let one = trained.recommended(&[arguments, &["--user", &users[8]]].concat());
        assert_best(&one[0], &trained.best(&history(8), &told(8).unwrap()));
    }
    let text = trained.original(&[1, 2, 3]).join(" ");
    fs::write(trained.place.path("in.csv"), format!("history,fields\n{text},UK\n")).unwrap();
    let expected = trained.best(&[1, 2, 3], &json!({}));
    for arguments in [["--history", text.as_str()], ["--input", "in.csv"]] {
        let found = trained.recommended(&[&["towers"][..], &arguments].concat());
        assert_best(&found[0], &expected);
    }
}

#[test]
fn what_is_told_wrongly_is_refused_with_its_line_and_field() {
    let trained = Trained::plain();
    let place = &trained.place;
    let item = trained.original(&[1])[0];
    let refused = |from: &str, fields: Value, status, words: &[&str]| {
        let lines = [json!({"history": [item]}), json!({"history": [item], "fields": fields})];
        fs::write(place.path("in.jsonl"), lines.map(|line| line.to_string()).join("\n")).unwrap();
        let arguments = ["recommend", from, "--input", "in.jsonl", "--out", "bad.jsonl"];
        place.refused(&arguments, status, &[&["in.jsonl:2"][..], words].concat());
        assert!(!place.path("bad.jsonl").exists());
    };
    for from in ["run", "towers"] {
        let unknown = ["no field `contry`: did you mean `country`?"];
        refused(from, json!({"contry": "UK"}), 2, &unknown);
        refused(from, json!({"age": "old"}), 1, &["the field `age`: \"old\" is no finite number"]);
        refused(from, json!({"age": {}}), 1, &["fields.age: invalid type: map"]);
    }
    // A model that reads none.
    fs::write(place.path("c.toml"), CONFIG).unwrap();
    place.ok(&["train", "c.toml", "--out", "plain", "--set", "train.steps=20"]);
    place.ok(&["export", "plain", "--out", "towers", "--force"]);
    for from in ["plain", "towers"] {
        refused(from, json!({"age": 31}), 2, &["this model reads no fields of users"]);
    }
    assert!(!place.path("towers/user_features.json").exists());
    let readme = fs::read_to_string(place.path("towers/README.md")).unwrap();
    assert!(!readme.contains("user_features") && !readme.contains("{user"), "{readme}");
    let server = Server::start(place, &[]);
    let (status, answer) = server.post(json!({"histories": [[item]], "fields": [null]}));
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("fields: this model reads no fields of users"))
    );
    let described: Value = serde_json::from_str(&server.get("/openapi.json").1).unwrap();
    let wish = &described["components"]["schemas"]["Wish"]["properties"];
    assert!(wish.get("fields").is_none() && wish.get("top").is_some());
}

#[test]
fn fields_that_are_not_those_of_the_tower_are_refused() {
    let trained = Trained::plain();
    let (place, folder) = (&trained.place, trained.place.path("towers"));
    let item = trained.original(&[1])[0];
    let ask = ["recommend", "towers", "--history", item];
    place.ok(&ask);
    let path = folder.join("user_features.json");
    let whole = fs::read_to_string(&path).unwrap();
    let put = |text: &str, right: bool| {
        fs::write(&path, text).unwrap();
        let mut manifest = json(&folder.join("export.json"));
        if right {
            manifest["files"]["user_features.json"] = json!(sha256_of(text.as_bytes()));
        }
        fs::write(folder.join("export.json"), manifest.to_string()).unwrap();
    };
    put(&whole[..whole.len() - 1], false);
    place.refused(&ask, 1, &["user_features.json is truncated or altered"]);
    for text in ["", "{}", "{\"fields\": 7}", &whole.replace("\"UK\"", "\"A\"")] {
        put(text, true);
        place.refused(&ask, 1, &["user_features.json is altered: export again"]);
    }
    // As many values, one of them not the dataset's.
    put(&whole.replace("\"UK\"", "\"US\""), true);
    place.ok(&ask);
    let all = ["recommend", "towers", "--data", "data", "--all-users"];
    place.refused(&all, 1, &["the dataset's fields of users have other values than the model's"]);
    put("{\"fields\": []}", true);
    place.refused(&ask, 1, &["user_tower.pt does not read the values of user_features.json"]);
    put(&whole, true);
    place.ok(&ask);
}
