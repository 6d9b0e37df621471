//! The vectors of items by definition, in float64, from the weights of a run.

use std::collections::{BTreeMap, HashMap};

use croloss::data::{Field, FieldKind, Schema};
use serde_json::Value;
use tch::{CModule, IValue, Kind, Tensor};

use crate::common::Place;
use crate::known::Known;

/// The rows of a table of values by the names of what they stand for: of numbers by the bucket.
pub fn rows(schema: &Schema) -> BTreeMap<(String, String), i64> {
    let mut rows = BTreeMap::new();
    for field in &schema.fields {
        let own = match field.kind {
            FieldKind::Number => {
                (0..=field.bounds.len()).map(|at| format!("bucket {at}")).collect()
            }
            _ => field.values.clone(),
        };
        let all = ["missing", "unknown"].map(String::from).into_iter().chain(own);
        for value in all {
            let next = rows.len() as i64 + 1;
            rows.insert((field.name.clone(), value), next);
        }
    }
    rows
}

/// The rows of what a record tells of a field.
pub fn rows_of(field: &Field, record: &Value, rows: &BTreeMap<(String, String), i64>) -> Vec<i64> {
    let row = |value: &str| rows.get(&(field.name.clone(), value.to_owned())).copied();
    let told = &record[field.name.as_str()];
    let texts = |told: &Value| match told {
        Value::Array(list) => list.iter().map(|own| own.as_str().unwrap().to_owned()).collect(),
        Value::String(text) if !text.is_empty() => vec![text.clone()],
        _ => vec![],
    };
    let mut all: Vec<i64> = match told.as_f64() {
        Some(number) => {
            let below = field.bounds.iter().filter(|bound| **bound <= number).count();
            vec![row(&format!("bucket {below}")).unwrap()]
        }
        None => {
            let unknown = row("unknown").unwrap();
            texts(told).iter().map(|text| row(text).unwrap_or(unknown)).collect()
        }
    };
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { vec![row("missing").unwrap()] } else { all }
}

/// The weights of a run as numbers.
pub struct Weights {
    pub schema: Schema,
    pub rows: BTreeMap<(String, String), i64>,
    own: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
    unit: bool,
}

impl Weights {
    pub fn of(known: &Known, unit: bool) -> Self {
        let schema = known.schema();
        let weights = tensors(&known.place, "run/best.safetensors");
        let rows_of =
            |table: &Tensor| Vec::<Vec<f64>>::try_from(table.to_kind(Kind::Double)).unwrap();
        Self {
            rows: rows(&schema),
            schema,
            own: rows_of(weights.get("outputs").unwrap_or(&weights["items"])),
            values: rows_of(&weights["item_features"]),
            unit,
        }
    }

    /// The vector of the item `id`, or of none where that is 0, of which a record tells.
    pub fn vector(&self, id: usize, record: &Value) -> Vec<f64> {
        let mut vector = self.own[id].clone();
        for field in &self.schema.fields {
            let rows = rows_of(field, record, &self.rows);
            for row in &rows {
                for (sum, value) in vector.iter_mut().zip(&self.values[*row as usize]) {
                    *sum += value / rows.len() as f64;
                }
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f64>() + 1e-8;
        if self.unit {
            vector.iter_mut().for_each(|x| *x /= length.sqrt());
        }
        vector
    }

    /// The codes of a record.
    pub fn codes(&self, record: &Value) -> Vec<i64> {
        self.schema.fields.iter().flat_map(|field| rows_of(field, record, &self.rows)).collect()
    }
}

pub fn tensors(place: &Place, file: &str) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(place.path(file)).unwrap().into_iter().collect()
}

pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// To one part in a million of the largest number.
pub fn assert_close(own: &[f32], expected: &[f64], what: &str) {
    assert_eq!(own.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1f64, |most, x| most.max(x.abs()));
    for (x, y) in own.iter().zip(expected) {
        assert!((f64::from(*x) - y).abs() <= 1e-6 * largest, "{what}: {x} and {y}");
    }
}

pub fn asked(tower: &CModule, input: Vec<Tensor>) -> Vec<f32> {
    let input: Vec<IValue> = input.into_iter().map(IValue::Tensor).collect();
    match tower.forward_is(&input).unwrap() {
        IValue::Tensor(vectors) => numbers(&vectors),
        other => panic!("the tower gives {other:?}"),
    }
}
