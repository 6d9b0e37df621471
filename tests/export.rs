//! `export` from outside: the towers in Rust and in Python give the vectors of the trained model.

mod common;

use std::fs;

use common::{CONFIG, Place, json, python};
use croloss::config::Config;
use croloss::data::Dataset;
use croloss::export::Export;
use croloss::model::Model;
use croloss::train::RunFolder;
use tch::{Device, IValue, Kind, Tensor};

/// Vectors of histories by the plain, the frozen and the optimised tower, and of items, one
/// number a line.
const SCRIPT: &str = r#"
import json, sys, torch
folder, histories = sys.argv[1], torch.tensor(json.loads(sys.argv[2]))
tower = torch.jit.load(folder + "/user_tower.pt").eval()
items = torch.jit.load(folder + "/item_tower.pt").eval()
assert len(dict(tower.named_parameters())["items"]) == len(dict(items.named_parameters())["items"])
frozen = torch.jit.freeze(tower)
with torch.no_grad():
    for vectors in [tower(histories), frozen(histories),
                    torch.jit.optimize_for_inference(torch.jit.load(folder + "/user_tower.pt").eval())(histories),
                    items(histories)]:
        print(*vectors.flatten().tolist(), sep="\n")
"#;

struct Exported {
    place: Place,
    config: Config,
    model: Model,
}

impl Exported {
    fn new() -> Self {
        Self::of(CONFIG)
    }

    fn of(configuration: &str) -> Self {
        let place = Place::new();
        fs::write(place.path("c.toml"), configuration).unwrap();
        place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
        place.ok(&["export", "run", "--out", "towers"]);
        let run = RunFolder::open(&place.path("run")).unwrap();
        let config = run.config(&[]).unwrap();
        let dataset = Dataset::load(&place.path("data")).unwrap();
        let model = Model::new(&config.tower, dataset.item_count(), 1, Device::Cpu);
        model.load(&run.weights_path()).unwrap();
        Self { place, config, model }
    }

    /// The model's own vectors of histories that are padded at the end, each cut to its latest
    /// items here.
    fn expected(&self, histories: &[Vec<i64>]) -> Vec<f32> {
        let latest = |history: &Vec<i64>| {
            let known: Vec<i64> = history.iter().copied().filter(|id| *id != 0).collect();
            let from = known.len().saturating_sub(self.config.tower.history);
            let mut row = known[from..].to_vec();
            row.resize(self.config.tower.history, 0);
            row
        };
        let rows: Vec<Vec<i64>> = histories.iter().map(latest).collect();
        numbers(&self.model.users(&Tensor::from_slice2(&rows), None))
    }
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// To one part in a million of the largest number: with other sizes of a batch libtorch takes other
/// kernels, which add up in another order.
fn assert_close(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let largest = b.iter().fold(1f32, |most, x| most.max(x.abs()));
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= 1e-6 * largest, "{what}: {x} and {y}");
    }
}

/// Histories of a batch: of all lengths up to `length`, the first all padding, some padded at the
/// beginning.
fn histories(batch: usize, length: usize) -> Vec<Vec<i64>> {
    let row = |b: usize| {
        let known = b % (length + 1);
        let mut row: Vec<i64> = (0..known).map(|k| ((7 * b + 3 * k) % 200) as i64 + 1).collect();
        match b % 2 {
            0 => row.resize(length, 0),
            _ => row = [vec![0; length - known], row].concat(),
        }
        row
    };
    (0..batch).map(row).collect()
}

#[test]
fn towers_in_rust_and_python_give_the_vectors_of_the_model() {
    compare(&Exported::new());
}

/// Sessions: two heads and layers, a table of its own for scores, with biases.
#[test]
fn session_towers_give_the_vectors_of_the_model_too() {
    const SESSIONS: &str = r#"
device = "cpu"
data = { path = "data" }
train = { steps = 20, validate_every = 20, monitor = "recall@10" }
evaluation = { protocol = "positions", at = [10] }
sampling = { samples = "positions", batch = 32, negatives = [{ from = "uniform", count = 20, per = "batch" }] }
"#;
    let transformer =
        "[tower]\nencoder = \"transformer\"\ndim = 8\nhistory = 5\nlayers = 2\nheads = 2";
    let ligr = format!("{transformer}\nlayer = \"ligr\"\nwidening = 2");
    let gru = "[tower]\nencoder = \"gru\"\ndim = 8\nhistory = 5\nlayers = 2\ntied = false\noutput_bias = true";
    for (tower, loss) in [(transformer, "ssm"), (&ligr, "ssm"), (gru, "bpr-max")] {
        compare(&Exported::of(&format!("{SESSIONS}loss = {{ kind = \"{loss}\" }}\n{tower}")));
    }
}

fn compare(exported: &Exported) {
    let folder = exported.place.path("towers");
    let export = Export::open(&folder).unwrap();
    let tower = export.user_tower(Device::Cpu).unwrap();
    for (batch, length) in [(1, 1), (7, 5), (256, 5), (7, 12)] {
        let what = format!("batch {batch}, length {length}");
        let histories = histories(batch, length);
        let expected = exported.expected(&histories);
        let input = Tensor::from_slice2(&histories);
        let IValue::Tensor(own) = tower.forward_is(&[IValue::Tensor(input)]).unwrap() else {
            panic!("the tower gives no tensor");
        };
        assert_close(&numbers(&own), &expected, &what);
        if let Some(said) = python(SCRIPT, &folder, &serde_json::to_string(&histories).unwrap()) {
            let all: Vec<f32> = said.lines().map(|line| line.parse().unwrap()).collect();
            let (users, items) = all.split_at(3 * expected.len());
            for (part, name) in users.chunks(expected.len()).zip(["plain", "frozen", "optimised"]) {
                assert_close(part, &expected, &format!("{name}, {what}"));
            }
            let dim = exported.model.items.scored().dim() as usize;
            let vectors = numbers(&exported.model.item_vectors());
            for (id, vector) in histories.concat().into_iter().zip(items.chunks(dim)) {
                let zero = vec![0.0; dim];
                let own = match id as usize {
                    0 => &zero[..],
                    id => &vectors[(id - 1) * dim..id * dim],
                };
                assert_close(vector, own, &format!("item {id}"));
            }
        }
    }
    // What padding gives where nobody has a history.
    let of = |histories: Tensor| {
        numbers(&Tensor::try_from(tower.forward_is(&[IValue::Tensor(histories)]).unwrap()).unwrap())
    };
    assert_eq!(
        of(Tensor::zeros([2, 0], (Kind::Int64, Device::Cpu))),
        of(Tensor::zeros([2, 1], (Kind::Int64, Device::Cpu)))
    );
    let vectors = export.item_vectors(Device::Cpu).unwrap();
    let npy = Tensor::read_npy(folder.join("item_vectors.npy")).unwrap();
    assert_eq!((&vectors, &npy), (&exported.model.item_vectors(), &vectors));
}

#[test]
fn the_python_snippet_of_the_readme_works_as_it_stands() {
    let exported = Exported::new();
    let folder = exported.place.path("towers");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let snippet = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    if let Some(said) = python(snippet, &folder, "") {
        assert_eq!(said.matches('[').count(), 3, "{said}");
    }
}

/// What each place of each history gains, one number a line.
const REPEATS: &str = r#"
import json, sys, torch
tower = torch.jit.load(sys.argv[1] + "/user_tower.pt").eval()
frozen = torch.jit.freeze(tower, preserved_attrs=["repeats"])
histories = torch.tensor(json.loads(sys.argv[2]))
for own in [tower, frozen]:
    print(*own.repeats(histories).flatten().tolist(), sep="\n")
"#;

#[test]
fn towers_tell_what_scores_gain_by_repeats() {
    let exported = Exported::of(&CONFIG.replace("history = 5", "history = 5\nrepeats = true"));
    let folder = exported.place.path("towers");
    let export = Export::open(&folder).unwrap();
    let additions = exported.model.additions().unwrap();
    assert!(additions.by_count[0] != 0.0 && additions.by_recency[0] != 0.0, "{additions:?}");
    assert_eq!(export.manifest.repeats.as_ref(), Some(&additions));
    // Of few items, so that most come again; padded on either side, and longer than what is read.
    let histories: Vec<Vec<i64>> = (0..40usize)
        .map(|b| {
            let known = b % 13;
            let own = (0..known).map(|k| ((b * b + k * k * (b + 1)) % 4) as i64 + 1).collect();
            let padding = vec![0; 12 - known];
            if b % 2 == 0 { [own, padding].concat() } else { [padding, own].concat() }
        })
        .collect();
    let of_places = |history: &Vec<i64>| {
        let items: Vec<u32> = history.iter().filter(|id| **id != 0).map(|id| *id as u32).collect();
        let mut gains = vec![0.0; history.len()];
        for (item, gain) in additions.of(&items) {
            gains[history.iter().rposition(|id| *id == i64::from(item)).unwrap()] = gain;
        }
        gains
    };
    let expected: Vec<f32> = histories.iter().flat_map(of_places).collect();
    let input = IValue::Tensor(Tensor::from_slice2(&histories));
    let tower = export.user_tower(Device::Cpu).unwrap();
    let IValue::Tensor(own) = tower.method_is("repeats", &[input]).unwrap() else {
        panic!("the method gives no tensor");
    };
    assert_close(&numbers(&own), &expected, "in Rust");
    if let Some(said) = python(REPEATS, &folder, &serde_json::to_string(&histories).unwrap()) {
        let all: Vec<f32> = said.lines().map(|line| line.parse().unwrap()).collect();
        for part in all.chunks(expected.len()) {
            assert_close(part, &expected, "in Python");
        }
    }
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Repeats").unwrap();
    let snippet = section.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    // The best items that it prints are those of the whole rule.
    let of_rule = |history: &[u32]| {
        let users = exported.model.users(
            &Tensor::from_slice(&history.iter().map(|id| i64::from(*id)).collect::<Vec<_>>())
                .view([1, -1]),
            None,
        );
        let mut scores = numbers(&users.matmul(&exported.model.item_vectors().tr()));
        additions
            .of(history)
            .into_iter()
            .for_each(|(item, gain)| scores[item as usize - 1] += gain);
        let mut best: Vec<usize> = (1..=scores.len()).collect();
        best.sort_by(|a, b| scores[b - 1].total_cmp(&scores[a - 1]));
        best[..10].to_vec()
    };
    if let Some(said) = python(snippet, &folder, "") {
        let said: Vec<usize> =
            said.split(|c: char| !c.is_ascii_digit()).filter_map(|own| own.parse().ok()).collect();
        assert_eq!(said, [of_rule(&[1, 2, 1]), of_rule(&[4])].concat());
    }
}

#[test]
fn an_export_without_repeats_says_nothing_of_them() {
    let exported = Exported::new();
    let folder = exported.place.path("towers");
    for name in ["README.md", "export.json", "config.toml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap().to_lowercase();
        assert!(!text.contains("repeats"), "{name}: {text}");
    }
    let tower = Export::open(&folder).unwrap().user_tower(Device::Cpu).unwrap();
    let input = IValue::Tensor(Tensor::from_slice2(&[[1i64, 2]]));
    assert!(tower.method_is("repeats", &[input]).is_err());
}

#[test]
fn a_truncated_or_altered_export_is_refused_with_its_file() {
    let exported = Exported::new();
    let folder = exported.place.path("towers");
    for name in ["user_tower.pt", "item_vectors.safetensors", "items.parquet"] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let error = Export::open(&folder).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("truncated or altered"), "{error}");
        fs::write(&path, whole).unwrap();
    }
    Export::open(&folder).unwrap();
    assert_eq!(json(&folder.join("export.json"))["history"], 5);
    exported.place.refused(&["export", "run", "--out", "towers"], 2, &["exists already"]);
    exported.place.refused(&["export", "run", "--out", "data", "--force"], 2, &["not an export"]);
    let force = ["export", "run", "--out", "towers", "--force"];
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    exported.place.refused(&force, 2, &["not an export", "notes.txt"]);
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "mine");
    fs::remove_file(folder.join("notes.txt")).unwrap();
    exported.place.ok(&force);
    exported.place.refused(&["export", "data", "--out", "new"], 1, &["not a run folder"]);
}
