//! `export`: towers, fields and the README's snippet.

use std::fs;

use croloss::export::{Export, sha256_of};
use croloss::train::TrainedRun;
use serde_json::{Value, json};
use tch::{Device, IValue, Kind, Tensor};

use crate::common::{Place, json, python};
use crate::known::{COLD, Known, tied, untied};
use crate::snippet::assert_codes;
use crate::weights::{Weights, asked, assert_close, numbers, rows_of};

/// Codes `[items, k]`, padded with 0.
fn padded(codes: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let widest = codes.iter().map(Vec::len).max().unwrap();
    let pad = |own: &Vec<i64>| [own.clone(), vec![0; widest - own.len()]].concat();
    codes.iter().map(pad).collect()
}

/// The vectors of all items by their ids, by ids and codes, and of codes alone; by the plain and by
/// the frozen tower.
const SCRIPT: &str = r#"
import json, sys, torch
codes = torch.tensor(json.loads(sys.argv[2]))
ids = torch.arange(1, len(codes) + 1)
tower = torch.jit.load("item_tower.pt").eval()
with torch.no_grad():
    for own in [tower, torch.jit.freeze(tower)]:
        by_shape = own(ids.view(1, -1), codes.view(1, len(codes), -1))
        for vectors in [own(ids), by_shape, own(0 * ids, codes)]:
            print(*vectors.flatten().tolist(), sep="\n")
    assert tower(ids[:0], codes[:0]).shape == (0, by_shape.size(-1))
    assert torch.equal(tower(ids[3], codes[3]), tower(ids, codes)[3])
"#;

#[test]
fn item_towers_take_ids_and_codes_and_give_the_model_s_vectors() {
    for (text, unit) in [(tied(), true), (untied(), false)] {
        let known = Known::exported(&text);
        let weights = Weights::of(&known, unit);
        let records = &known.records;
        let all = |id: &dyn Fn(usize) -> usize| -> Vec<f64> {
            records.iter().enumerate().flat_map(|(at, own)| weights.vector(id(at), own)).collect()
        };
        let (whole, of_codes) = (all(&|at| at + 1), all(&|_| 0));
        let count = records.len();
        // Cold items have no vector of their own.
        let width = whole.len() / count;
        assert_eq!(whole[(count - COLD) * width..], of_codes[(count - COLD) * width..]);
        assert_ne!(whole, of_codes);

        let export = Export::open(&known.place.path("towers")).unwrap();
        assert_close(&numbers(&export.item_vectors(Device::Cpu).unwrap()), &whole, "the vectors");
        let data = format!("data.path={}", known.place.path("data").display());
        let run = TrainedRun::open(&known.place.path("run"), &[data]).unwrap();
        let model = run.model(&run.context().unwrap()).unwrap();
        assert_close(&numbers(&model.item_vectors()), &whole, "the model");
        let codes = padded(&records.iter().map(|own| weights.codes(own)).collect::<Vec<_>>());
        let tower = export.item_tower(Device::Cpu).unwrap();
        let ids = Tensor::arange_start(1, count as i64 + 1, (Kind::Int64, Device::Cpu));
        let input = Tensor::from_slice2(&codes);
        assert_close(&asked(&tower, vec![ids.shallow_clone()]), &whole, "by ids");
        let by_both = asked(&tower, vec![ids.shallow_clone(), input.shallow_clone()]);
        assert_close(&by_both, &whole, "by ids and codes");
        assert_close(&asked(&tower, vec![ids.zeros_like(), input]), &of_codes, "by codes");
        let argument = serde_json::to_string(&codes).unwrap();
        if let Some(said) = python(SCRIPT, &known.place.path("towers"), &argument) {
            let said: Vec<f32> = said.lines().map(|line| line.parse().unwrap()).collect();
            let expected = [&whole, &whole, &of_codes, &whole, &whole, &of_codes];
            assert_eq!(said.len(), 6 * whole.len());
            for (part, expected) in said.chunks(whole.len()).zip(expected) {
                assert_close(part, expected, "in Python");
            }
        }
    }
}

#[test]
fn the_snippet_of_the_readme_makes_the_codes_and_vectors_of_new_items() {
    let known = Known::exported(&tied());
    let folder = known.place.path("towers");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("| `features.json` |"), "{readme}");
    let section = readme.split("## New items").nth(1).unwrap();
    let snippet = section.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert_codes(snippet, "features.json");
    let shown = snippet.split("new = codes(").nth(1).unwrap().split(")\n").next().unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    let weights = Weights::of(&known, true);
    for field in &weights.schema.fields {
        let unknown = &weights.rows[&(field.name.clone(), "unknown".into())];
        assert!(rows_of(field, &shown, &weights.rows).iter().all(|row| row > unknown), "{shown}");
    }
    let mut all = known.records.clone();
    all.push(json!({"brand": "never", "tags": ["never", "neither", "t1"], "price": 1e9}));
    all.push(json!({"brand": "", "tags": []}));
    let more = "\nimport sys\nprint(*vectors[0].tolist())\n\
                for item in json.loads(sys.argv[2]):\n    print(*codes(item))\n";
    let argument = serde_json::to_string(&all).unwrap();
    if let Some(said) = python(&format!("{snippet}{more}"), &folder, &argument) {
        assert!(said.starts_with("tensor([["), "{said}");
        let mut lines =
            said.lines().rev().take(all.len() + 1).collect::<Vec<_>>().into_iter().rev();
        let words = lines.next().unwrap().split(' ');
        let vector: Vec<f32> = words.map(|number| number.parse().unwrap()).collect();
        assert_close(&vector, &weights.vector(0, &shown), "the vector that is shown");
        for (item, line) in all.iter().zip(lines) {
            let codes: Vec<i64> = line.split(' ').map(|code| code.parse().unwrap()).collect();
            assert_eq!(codes, weights.codes(item), "{item}");
        }
    }
}

#[test]
fn exports_without_features_are_what_they_were_and_altered_fields_are_refused() {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    place.ok(&["export", "run", "--out", "towers"]);
    let folder = place.path("towers");
    assert!(!folder.join("features.json").exists());
    assert!(json(&folder.join("export.json"))["files"].get("features.json").is_none());
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(!readme.contains("features") && !readme.contains("New items"), "{readme}");
    let tower = Export::open(&folder).unwrap().item_tower(Device::Cpu).unwrap();
    let [ids, codes] = [vec![1i64], vec![1]].map(|own| IValue::Tensor(Tensor::from_slice(&own)));
    assert!(tower.forward_is(&[ids, codes]).is_err());
    fs::write(place.path("new.csv"), "item\nx\n").unwrap();
    let embed = ["embed", "towers", "--items", "new.csv", "--out", "x.npy"];
    place.refused(&embed, 2, &["towers", "have no features", "tower.item_features"]);
    for (who, option) in [("item", "--items FILE"), ("user", "--users FILE")] {
        let set = format!("tower.{who}_features=[\"brand\"]");
        let train = ["train", "c.toml", "--out", "none", "--set", &set];
        let key = format!("tower.{who}_features: data has no such fields");
        place.refused(&train, 2, &[&key, option]);
    }

    let known = Known::exported(&tied());
    let set = "tower.item_features=[\"brnd\"]";
    let train = ["train", "c.toml", "--out", "none", "--set", set];
    let expected = "tower.item_features: the dataset has no field `brnd`: did you mean `brand`?";
    known.place.refused(&train, 2, &[expected]);
    let folder = known.place.path("towers");
    let path = folder.join("features.json");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("brand", "maker")).unwrap();
    known.place.refused(&embed, 1, &["features.json", "truncated or altered"]);
    for (text, word) in [(whole.replacen("t1", "zz", 1), "ascending"), ("{}".into(), "fields")] {
        fs::write(&path, &text).unwrap();
        let mut manifest = json(&folder.join("export.json"));
        manifest["files"]["features.json"] = json!(sha256_of(text.as_bytes()));
        fs::write(folder.join("export.json"), manifest.to_string()).unwrap();
        known.place.refused(&embed, 1, &["features.json is altered", word]);
    }
}
