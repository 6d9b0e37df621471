//! A dataset with features and cold items, and a run on it.

use std::fs;

use croloss::data::{Dataset, Schema};
use serde_json::{Value, json};

use crate::common::{CONFIG, Place};

/// Items that no log holds.
pub const COLD: usize = 7;

const FIELDS: [&str; 6] = [
    "--item-field",
    "brand=category",
    "--item-field",
    "tags=categories",
    "--item-field",
    "price=number:4",
];

/// What is known of an item, by its number: of some nothing.
fn told(number: usize) -> Value {
    let tags: Vec<String> = (0..number % 4).map(|tag| format!("t{}", number % 5 + tag)).collect();
    match number % 9 {
        8 => json!({}),
        _ => json!({
            "brand": format!("brand \"{}\"", number * number % 11),
            "tags": tags,
            "price": (number * 37 % 101) as f64 / 4.0,
        }),
    }
}

pub fn record(id: &str, told: Value) -> Value {
    let mut record = told;
    record["item"] = json!(id);
    record
}

pub fn write_records(place: &Place, name: &str, records: &[Value]) {
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    fs::write(place.path(name), lines).unwrap();
}

/// A dataset with features and cold items, of which `records` is what is told, in the catalogue's
/// order.
pub struct Known {
    pub place: Place,
    pub records: Vec<Value>,
    /// What `train` printed.
    pub said: String,
}

impl Known {
    pub fn new(configuration: &str) -> Self {
        Self::prepared(configuration, &[])
    }

    /// Of a dataset that is prepared with these options besides.
    pub fn prepared(configuration: &str, options: &[&str]) -> Self {
        let place = Place::new();
        let Dataset { items, users, .. } = Dataset::load(&place.path("data")).unwrap();
        let of_log = items.iter().enumerate().map(|(at, item)| record(&item.original, told(at)));
        let cold = (0..COLD).map(|at| record(&format!("cold-{at}"), told(10 * at)));
        let records: Vec<Value> = of_log.chain(cold).collect();
        write_records(&place, "items.jsonl", &records);
        let country = |(at, user): (usize, &String)| json!({"user": user, "country": at % 7});
        let users: Vec<Value> = users.iter().enumerate().map(country).collect();
        write_records(&place, "users.jsonl", &users);
        prepare_with(&place, ["items.jsonl", "users.jsonl"], "data", options);
        fs::write(place.path("c.toml"), configuration).unwrap();
        let said = place.ok(&["train", "c.toml", "--out", "run"]);
        Self { place, records, said }
    }

    pub fn exported(configuration: &str) -> Self {
        let known = Self::new(configuration);
        known.place.ok(&["export", "run", "--out", "towers"]);
        known
    }

    pub fn schema(&self) -> Schema {
        let text = fs::read_to_string(self.place.path("towers/features.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

pub fn prepare(place: &Place, files: [&str; 2], out: &str) {
    prepare_with(place, files, out, &[]);
}

pub fn prepare_with(place: &Place, [items, users]: [&str; 2], out: &str, options: &[&str]) {
    let call = [
        "prepare",
        "--input",
        "log.csv",
        "--user",
        "user",
        "--item",
        "item",
        "--time",
        "time",
        "--items",
        items,
        "--keep-cold-items",
        "--users",
        users,
        "--user-field",
        "country=category",
        "--force",
        "--out",
        out,
    ];
    place.ok(&[&call[..], &FIELDS, options].concat());
}

/// The fields in another order than the dataset's, one of them left out or not.
pub fn tied() -> String {
    CONFIG.replace("history = 5", "history = 5\nitem_features = [\"tags\", \"price\", \"brand\"]")
}

pub fn untied() -> String {
    let tower = "history = 5\nitem_features = [\"price\", \"tags\"]\nid_dropout = 0.2\ntied = false\n\
                 output_bias = true\nnormalize = false";
    let loss = "[loss]\nkind = \"bce\"\n\n[train]";
    CONFIG.replace("history = 5", tower).replace("[train]", loss)
}
