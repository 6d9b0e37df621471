//! A model of users' fields, and what the definition makes of its trained weights.

use std::fs;
use std::sync::Arc;

use croloss::data::{Dataset, FieldKind, Schema};
use croloss::model::{Known, Model, ValueLists};
use croloss::train::RunFolder;
use serde_json::{Value, json};
use tch::{Device, Tensor};

use crate::common::{CONFIG, Place};
use crate::server::Scored;

/// In another order than the dataset has them, which has one more.
pub const READ: &str = "user_features = [\"tags\", \"country\", \"age\"]";

/// A model of users' fields with its dataset.
pub struct Trained {
    pub place: Place,
    pub dataset: Dataset,
    pub model: Model,
    schema: Schema,
    history: usize,
}

/// What is known of the `n`-th user of the log; of some nothing.
pub fn told(n: usize) -> Option<Value> {
    let tags: Vec<&str> = ["a", "b", "c"].into_iter().take(n % 4).collect();
    (!n.is_multiple_of(6)).then(|| match n % 5 {
        0 => json!({"tags": tags}),
        1 => json!({"country": "UK", "age": null, "plan": "x"}),
        _ => {
            let country = ["DE", "UK", "FR"][n % 3];
            json!({"country": country, "age": 20 + n % 40, "tags": tags})
        }
    })
}

impl Trained {
    pub fn new(configuration: &str) -> Self {
        let place = Place::new();
        let users = Dataset::load(&place.path("data")).unwrap().users;
        let line = |(user, n): (&String, usize)| {
            let mut record = told(n)?;
            record["user"] = json!(user);
            Some(record.to_string() + "\n")
        };
        let lines: String = users.iter().zip(0..).filter_map(line).collect();
        fs::write(place.path("users.jsonl"), lines).unwrap();
        let prepare = "prepare --input log.csv --user user --item item --time time --out data --force \
                       --users users.jsonl --user-field country=category --user-field age=number:3 \
                       --user-field tags=categories --user-field plan=category";
        place.ok(&prepare.split_whitespace().collect::<Vec<_>>());
        fs::write(place.path("c.toml"), configuration).unwrap();
        place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
        place.ok(&["export", "run", "--out", "towers"]);
        let dataset = Dataset::load(&place.path("data")).unwrap();
        let run = RunFolder::open(&place.path("run")).unwrap();
        let tower = run.config(&[]).unwrap().tower;
        let users = dataset.user_features.as_ref().unwrap();
        let users = users.select(&tower.user_features, "tower.user_features").unwrap();
        let known = Known { items: None, users: Some(Arc::new(ValueLists::new(&users))) };
        let model = Model::new(&tower, dataset.item_count(), 1, Device::Cpu).knowing(&known, 1);
        model.load(&run.weights_path()).unwrap();
        Self { place, dataset, model, schema: users.schema, history: tower.history }
    }

    /// One of two-tower models.
    pub fn plain() -> Self {
        Self::new(&CONFIG.replace("[tower]", &format!("[tower]\n{READ}")))
    }

    /// The codes of what is told of a user, each with its share: by the words of docs/data.md.
    pub fn codes(&self, told: &Value) -> Vec<(usize, f32)> {
        let (mut first, mut codes) = (1, vec![]);
        for field in &self.schema.fields {
            let place = |text: &Value| field.values.iter().position(|own| text == own.as_str());
            let mut own: Vec<usize> = match &told[&field.name] {
                Value::Null => vec![0],
                Value::Number(number) => {
                    let below = |bound: &&f64| **bound <= number.as_f64().unwrap();
                    vec![2 + field.bounds.iter().filter(below).count()]
                }
                Value::Array(texts) if texts.is_empty() => vec![0],
                Value::Array(texts) => {
                    texts.iter().map(|text| place(text).map_or(1, |place| 2 + place)).collect()
                }
                text => vec![place(text).map_or(1, |place| 2 + place)],
            };
            own.sort();
            own.dedup();
            codes.extend(own.iter().map(|code| (first + code, 1.0 / own.len() as f32)));
            first += 2 + match field.kind {
                FieldKind::Number => field.bounds.len() + 1,
                _ => field.values.len(),
            };
        }
        codes
    }

    /// Vectors of users with these histories, padded at the end or not, of whom this is told.
    pub fn users(&self, histories: &[Vec<i64>], told: &[Value]) -> Tensor {
        let latest = |history: &Vec<i64>| {
            let known: Vec<i64> = history.iter().copied().filter(|id| *id != 0).collect();
            let mut row = known[known.len().saturating_sub(self.history)..].to_vec();
            row.resize(self.history, 0);
            row
        };
        let rows: Vec<Vec<i64>> = histories.iter().map(latest).collect();
        let added: Vec<Vec<f32>> = told.iter().map(|told| self.added(told)).collect();
        self.model.users(&Tensor::from_slice2(&rows), Some(&Tensor::from_slice2(&added)))
    }

    /// What is told of a user as a vector.
    pub fn added(&self, told: &Value) -> Vec<f32> {
        let (_, table) = self.model.user_features.as_ref().unwrap().table();
        let table = Vec::<Vec<f32>>::try_from(table).unwrap();
        let codes = self.codes(told);
        let at = |at: usize| codes.iter().map(|(row, share)| share * table[*row][at]).sum();
        (0..table[0].len()).map(at).collect()
    }

    /// The scores of all items, by their ids.
    pub fn scores(&self, history: &[i64], told: &Value) -> Vec<f32> {
        let user = self.users(&[history.to_vec()], std::slice::from_ref(told));
        numbers(&user.matmul(&self.model.item_vectors().tr()))
    }

    /// All items with their scores, the best first.
    pub fn best(&self, history: &[i64], told: &Value) -> Scored {
        let scores = self.scores(history, told);
        let names = self.dataset.items.iter().map(|item| item.original.to_string());
        let mut all: Scored = names.zip(scores.into_iter().map(f64::from)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    pub fn original(&self, history: &[i64]) -> Vec<&str> {
        history.iter().map(|id| &*self.dataset.items[*id as usize - 1].original).collect()
    }

    /// What `recommend` gives for lines of JSON.
    pub fn recommended(&self, arguments: &[&str]) -> Vec<Value> {
        let out = ["--out", "out.jsonl", "--force"];
        self.place.ok(&[&["recommend"][..], arguments, &out].concat());
        let text = fs::read_to_string(self.place.path("out.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(tensor.contiguous().view(-1)).unwrap()
}
