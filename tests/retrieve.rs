//! `recommend` and `index` from outside.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Place, json, python};
use croloss::data::Dataset;
use croloss::export::Export;
use croloss::retrieve::{Exact, Index, measure, user_vectors};
use tch::{Device, Tensor};

/// A trained run and its export.
fn trained() -> Place {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run"]);
    place.ok(&["export", "run", "--out", "towers"]);
    place
}

/// user → (item, score), the best first.
type Found = BTreeMap<String, Vec<(String, f64)>>;

fn csv(path: &Path) -> Found {
    let text = fs::read_to_string(path).unwrap();
    let mut found = Found::new();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("user,rank,item,score"));
    for line in lines {
        let [user, rank, item, score] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let items = found.entry(user.into()).or_default();
        items.push((item.to_owned(), score.parse().unwrap()));
        assert_eq!(rank.parse::<usize>().unwrap(), items.len());
    }
    found
}

fn json_lines(path: &Path) -> Found {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let item = |item: &serde_json::Value| {
            (item["item"].as_str().unwrap().to_owned(), item["score"].as_f64().unwrap())
        };
        let items = value["items"].as_array().unwrap().iter().map(item).collect();
        (value["user"].as_str().unwrap().to_owned(), items)
    };
    text.lines().map(line).collect()
}

fn assert_same(a: &Found, b: &Found) {
    assert_eq!(a.len(), b.len());
    for ((user, a), (other, b)) in a.iter().zip(b) {
        assert_eq!((user, a.len()), (other, b.len()));
        for ((item, score), (other, second)) in a.iter().zip(b) {
            assert!((score - second).abs() < 1e-6, "{user}: {item} {score}, {other} {second}");
            assert_eq!(item, other, "{user}");
        }
    }
}

/// TorchScript and a full sort, as a user of the export would write it.
const SCRIPT: &str = r#"
import json, sys, numpy, torch
folder, rows = sys.argv[1], json.loads(sys.argv[2])
tower = torch.jit.load(folder + "/user_tower.pt")
vectors = torch.from_numpy(numpy.load(folder + "/item_vectors.npy"))
for row in rows:
    history = torch.tensor([row["ids"] + [0] * (40 - len(row["ids"]))])
    with torch.no_grad():
        scores = (tower(history) @ vectors.T)[0]
    if row["exclude"]:
        scores[torch.tensor(row["ids"]) - 1] = -9.0
    order = torch.sort(scores, descending=True, stable=True)
    top = [(int(i) + 1, float(s)) for s, i in zip(order.values[:20], order.indices[:20])]
    print(json.dumps({"user": row["user"], "top": top}))
"#;

#[test]
fn recommendations_equal_torchscript_and_a_full_sort_in_python() {
    let place = trained();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let original = |id: u32| dataset.items[id as usize - 1].original.to_string();
    // Histories shorter and longer than the tower reads, and one with an item twice.
    let histories: Vec<Vec<u32>> =
        (1..=40u32).map(|n| (0..n).map(|k| (n * 17 + k * 5) % 200 + 1).collect()).collect();
    let lines: String = histories
        .iter()
        .enumerate()
        .map(|(user, ids)| {
            let items: Vec<String> = ids.iter().map(|&id| original(id)).collect();
            format!("u{user},{}\n", items.join(" "))
        })
        .collect();
    fs::write(place.path("in.csv"), format!("user,history\n{lines}")).unwrap();
    for exclude in [false, true] {
        let mut arguments = vec!["--input", "in.csv", "--top", "20", "--force"];
        arguments.extend(exclude.then_some("--exclude-seen"));
        let of = |from, out| {
            place.ok(&[&["recommend", from, "--out", out][..], &arguments].concat());
        };
        of("towers", "towers.csv");
        of("run", "run.csv");
        of("towers", "towers.jsonl");
        let found = csv(&place.path("towers.csv"));
        assert_same(&found, &csv(&place.path("run.csv")));
        assert_same(&found, &json_lines(&place.path("towers.jsonl")));
        let rows: Vec<serde_json::Value> = histories
            .iter()
            .enumerate()
            .map(|(user, ids)| {
                serde_json::json!({"user": format!("u{user}"), "ids": ids, "exclude": exclude})
            })
            .collect();
        let rows = serde_json::to_string(&rows).unwrap();
        let Some(said) = python(SCRIPT, &place.path("towers"), &rows) else { return };
        let mut expected = Found::new();
        for line in said.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let top = value["top"].as_array().unwrap().iter();
            let top =
                top.map(|t| (original(t[0].as_u64().unwrap() as u32), t[1].as_f64().unwrap()));
            expected.insert(value["user"].as_str().unwrap().into(), top.collect());
        }
        assert_same(&found, &expected);
    }
}

#[test]
fn users_of_the_dataset_are_named_by_their_original_ids() {
    let place = trained();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    place.ok(&["recommend", "run", "--all-users", "--out", "run.parquet"]);
    place.ok(&["recommend", "run", "--all-users", "--out", "run.csv"]);
    let towers = ["recommend", "towers", "--all-users", "--out", "towers.csv"];
    place.ok(&[&towers[..], &["--data", "data"]].concat());
    place.refused(&[&towers[..], &["--force"]].concat(), 2, &["--data"]);
    let all = csv(&place.path("run.csv"));
    assert_same(&all, &csv(&place.path("towers.csv")));
    assert_eq!(all.len(), dataset.users.len());
    let user = &dataset.users[7];
    place.ok(&["recommend", "run", "--user", user, "--user", "nobody", "--out", "one.csv"]);
    let one = csv(&place.path("one.csv"));
    assert_same(&one, &Found::from([(user.clone(), all[user].clone())]));
    // The user's own items, all of them, are left out.
    let items = dataset.item_count().to_string();
    place.ok(&[
        "recommend",
        "run",
        "--user",
        user,
        "--top",
        &items,
        "--exclude-seen",
        "--out",
        "new.csv",
    ]);
    let new = &csv(&place.path("new.csv"))[user];
    let mut seen = dataset.sequences.get(7).to_vec();
    seen.sort();
    seen.dedup();
    assert_eq!(new.len(), dataset.item_count() - seen.len());
    let seen: Vec<&str> =
        seen.iter().map(|&id| &*dataset.items[id as usize - 1].original).collect();
    assert!(new.iter().all(|(item, _)| !seen.contains(&item.as_str())));
    // Another dataset than the one trained on.
    place.ok(&[
        "generate", "--preset", "demo", "--users", "300", "--items", "200", "--seed", "2", "--out",
        "b.csv",
    ]);
    place
        .ok(&["prepare", "--input", "b.csv", "--user", "user", "--item", "item", "--out", "other"]);
    let other = ["recommend", "towers", "--user", user, "--data", "other"];
    place.refused(&other, 2, &["other is not the dataset"]);
}

#[test]
fn unknown_items_are_counted_and_only_a_history_of_nothing_else_fails() {
    let place = trained();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let item = dataset.items[0].original.as_str();
    let text = format!("history,user\n{item} x y,a\nx y z,b\n,c\n{item},d\n");
    fs::write(place.path("in.csv"), text).unwrap();
    let command = ["recommend", "towers", "--input", "in.csv", "--out", "out.jsonl"];
    let output = place.command(&command).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    for line in [
        "in.csv:3: user b: none of its 3 items is known",
        "in.csv:4: user c: the history is empty",
        "warning: nothing is recommended for 2 histories",
        "warning: 2 items of histories are not known",
    ] {
        assert!(errors.lines().any(|l| l == line), "{line}: {errors}");
    }
    let found = json_lines(&place.path("out.jsonl"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "d"]);
    assert_eq!(found["a"], found["d"]);
    place.refused(&command, 2, &["exists already"]);
    place.refused(
        &["recommend", "towers", "--history", "x y"],
        1,
        &["no history has a known item"],
    );
    let both = ["recommend", "towers", "--history", "x y", "--history", item, "--top", "3"];
    let table = place.ok(&both);
    assert_eq!(table.lines().filter(|line| line.starts_with("2 ")).count(), 3, "{table}");
    // What fails leaves the old file.
    fs::write(
        place.path("bad.jsonl"),
        format!("{{\"history\":[\"{item}\"]}}\n{{\"history\":3}}\n"),
    )
    .unwrap();
    let bad = ["recommend", "towers", "--input", "bad.jsonl", "--out", "out.jsonl", "--force"];
    place.refused(&bad, 1, &["bad.jsonl:2"]);
    assert_eq!(json_lines(&place.path("out.jsonl")), found);
    place.refused(&["recommend", "towers", "--top", "3"], 2, &["--help"]);
    place.refused(&["recommend", "towers", "--history", item, "--top", "0"], 2, &["--help"]);
    place.refused(
        &["recommend", "towers", "--history", item, "--out", "a.tsv"],
        2,
        &["a.tsv", ".jsonl"],
    );
    place.refused(&["recommend", "data", "--history", item], 1, &["not a run folder"]);
}

#[test]
fn filters_allow_and_deny_with_and_without_an_index() {
    let place = trained();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let items: Vec<&str> = dataset.items.iter().map(|item| &*item.original).collect();
    let (some, few) = (&items[..items.len() / 2], &items[3..9]);
    fs::write(place.path("some"), some.join("\n") + "\nunknown\n").unwrap();
    fs::write(place.path("few"), few.join("\r\n")).unwrap();
    place.ok(&["index", "towers"]);
    let all = items.len().to_string();
    let recommend = |out: &str, more: &[&str]| {
        let command = ["recommend", "towers", "--history", items[0], "--top", &all, "--out", out];
        place.ok(&[&command[..], more].concat());
        csv(&place.path(out))["1"].clone()
    };
    let full = recommend("full.csv", &[]);
    for (out, more) in [("exact.csv", &[][..]), ("index.csv", &["--index"])] {
        let found = recommend(out, &[&["--allow", "some", "--deny", "few"][..], more].concat());
        let may = |item: &str| some.contains(&item) && !few.contains(&item);
        let expected: Vec<_> = full.iter().filter(|(item, _)| may(item)).collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.1 - expected.1).abs() < 1e-6, "{found:?} {expected:?}");
        }
    }
    let nothing = ["recommend", "towers", "--history", items[0], "--allow", "few", "--deny", "few"];
    place.refused(&nothing, 2, &["no item"]);
}

#[test]
fn an_index_that_is_missing_altered_or_of_other_vectors_is_refused_by_name() {
    let place = trained();
    let dataset = Dataset::load(&place.path("data")).unwrap();
    let item = dataset.items[0].original.as_str();
    let search = ["recommend", "towers", "--history", item, "--index"];
    place.refused(&search, 1, &["index.json", "croloss index"]);
    let table = place.ok(&["index", "towers"]);
    assert!(table.contains("default") && table.contains("exact"), "{table}");
    place.refused(&["index", "towers"], 2, &["--force"]);
    place.ok(&search);
    for name in ["index.usearch", "index.json"] {
        let path = place.path("towers").join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        place.refused(&search, 1, &[name, "truncated or altered"]);
        fs::write(&path, whole).unwrap();
    }
    let path = place.path("towers/index.usearch");
    let whole = fs::read(&path).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&path, &altered).unwrap();
    place.refused(&search, 1, &["index.usearch", "truncated or altered"]);
    fs::write(&path, whole).unwrap();
    // The files of another export.
    place.ok(&["train", "c.toml", "--out", "second", "--set", "seed=2", "--set", "train.steps=20"]);
    place.ok(&["export", "second", "--out", "others"]);
    for name in ["index.usearch", "index.json"] {
        fs::copy(place.path("towers").join(name), place.path("others").join(name)).unwrap();
    }
    let others = ["recommend", "others", "--history", item, "--index"];
    place.refused(&others, 1, &["index.usearch", "other vectors"]);
    // The export itself.
    let path = place.path("others/items.parquet");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    place.refused(&["recommend", "others", "--history", item], 1, &["items.parquet", "altered"]);
    place.refused(&["serve", "others"], 1, &["items.parquet", "altered"]);
}

/// The users that no index was chosen by: those of the test part.
#[test]
fn the_index_finds_its_share_for_users_of_amazon_beauty() {
    let log =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/amazon-beauty/useritem.txt.gz");
    if !log.exists() {
        eprintln!("skipped: {} is not here", log.display());
        return;
    }
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let description = root.join("datasets/amazon-beauty.toml");
    let [description, log] = [&description, &log].map(|path| path.to_str().unwrap());
    place.ok(&["prepare", description, "--input", log, "--out", "beauty"]);
    let config = root.join("configs/amazon-beauty.toml");
    let steps = ["train.steps=300", "train.validate_every=300", "data.path=beauty", "device=cpu"];
    let sets = steps.iter().flat_map(|set| ["--set", set]);
    place.ok(&["train", config.to_str().unwrap(), "--out", "beauty-run"]
        .into_iter()
        .chain(sets)
        .collect::<Vec<_>>());
    place.ok(&["export", "beauty-run", "--out", "beauty-towers"]);
    place.ok(&["index", "beauty-towers"]);

    let export = Export::open(&place.path("beauty-towers")).unwrap();
    let dataset = Dataset::load(&place.path("beauty")).unwrap();
    let users = dataset.users_of(croloss::data::Split::Test);
    let histories: Vec<&[u32]> =
        users.iter().take(1000).map(|&user| dataset.sequences.get(user)).collect();
    let tower = export.user_tower(Device::Cpu).unwrap();
    let users: Tensor =
        user_vectors(&tower, &histories, None, export.manifest.history, Device::Cpu).unwrap();
    let exact = Exact::new(&export.item_vectors(Device::Cpu).unwrap(), None).unwrap();
    let mut index = Index::open(&export, None).unwrap();
    let about = json(&place.path("beauty-towers/index.json"));
    let candidates = about["expansion_search"].as_u64().unwrap() as usize;
    let measured = measure(&mut index, &exact, &users, 100, &[candidates]).unwrap();
    assert!(measured.points[0].recall >= 0.95, "{:?}", measured.points);
}

/// The export's C++ snippet, built against the libtorch that the crate is built with.
#[test]
fn the_cpp_snippet_of_an_export_works_as_it_stands() {
    let torch = Path::new(env!("CARGO_MANIFEST_DIR")).join(".libtorch");
    let place = trained();
    let folder = place.path("towers");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let snippet = readme.split("```cpp\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.join("main.cpp"), snippet).unwrap();
    let (include, lib) = (torch.join("include"), torch.join("lib"));
    let build = Command::new("c++")
        .args(["-std=c++20", "-w", "-D_GLIBCXX_USE_CXX11_ABI=1", "main.cpp", "-o", "main"])
        .arg(format!("-I{}", include.display()))
        .arg(format!("-I{}", include.join("torch/csrc/api/include").display()))
        .arg(format!("-L{}", lib.display()))
        .arg(format!("-Wl,-rpath,{}", lib.display()))
        .args(["-ltorch", "-ltorch_cpu", "-lc10"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let output = Command::new("./main").current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("[ CPUFloatType{1,8} ]"), "{said}");
}
