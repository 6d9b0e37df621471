//! What is known of items or users besides their ids.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::misuse;

/// What a field's values are and how they become codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// One value.
    Category,
    /// A list of values.
    Categories,
    /// A number, by the quantile it lies in.
    Number,
}

/// One field and its vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
    /// Of categories: the values that have a code of their own, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Of numbers: ascending; a number lies in the bucket whose index is how many of these it is not
    /// below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<f64>,
}

/// Fields and their vocabularies. Codes are rows of a table of vectors: 0 is padding; each field has,
/// one behind the other, a code for what is missing, one for values without a code of their own (too
/// rare, or unknown), and one for each value or bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    pub fields: Vec<Field>,
}

/// The codes of each item or user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    pub schema: Schema,
    /// `[of + 1]`: where the codes of each begin.
    pub starts: Vec<u32>,
    /// Those of one field behind those of another, in the order of the fields; each has one code of
    /// each field or more.
    pub codes: Vec<u32>,
}

impl Field {
    /// How many codes it has.
    pub fn codes(&self) -> u32 {
        let own = match self.kind {
            FieldKind::Category | FieldKind::Categories => self.values.len(),
            FieldKind::Number => self.bounds.len() + 1,
        };
        own as u32 + 2
    }
}

impl Schema {
    /// Rows of a table of vectors, padding among them.
    pub fn rows(&self) -> usize {
        1 + self.fields.iter().map(|field| field.codes() as usize).sum::<usize>()
    }

    /// `[fields]`: the first code of each field, that for what is missing.
    pub fn first_codes(&self) -> Vec<u32> {
        let after = |next: &mut u32, field: &Field| {
            let first = *next;
            *next += field.codes();
            Some(first)
        };
        self.fields.iter().scan(1, after).collect()
    }
}

impl Features {
    /// These fields alone, in this order; `key`: the setting that names them.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a field that is not there.
    pub fn select(&self, fields: &[String], key: &str) -> Result<Features> {
        let first = self.schema.first_codes();
        let mut taken = vec![];
        for name in fields {
            let at = self.schema.fields.iter().position(|field| field.name == *name);
            let Some(at) = at else {
                let known: Vec<&str> =
                    self.schema.fields.iter().map(|field| field.name.as_str()).collect();
                misuse!("{key}: the dataset has no field {name:?}; it has {}", known.join(", "));
            };
            taken.push(at);
        }
        let schema =
            Schema { fields: taken.iter().map(|&at| self.schema.fields[at].clone()).collect() };
        let own = schema.first_codes();
        let mut selected = Features { schema, starts: vec![0], codes: vec![] };
        for of in 0..self.len() {
            let codes = self.of(of);
            for (&at, &to) in taken.iter().zip(&own) {
                let range = first[at]..first[at] + self.schema.fields[at].codes();
                let of_field = codes.iter().filter(|code| range.contains(code));
                selected.codes.extend(of_field.map(|code| code - first[at] + to));
            }
            selected.starts.push(selected.codes.len() as u32);
        }
        Ok(selected)
    }

    /// How many items or users there are.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes of the `of`-th.
    pub fn of(&self, of: usize) -> &[u32] {
        &self.codes[self.starts[of] as usize..self.starts[of + 1] as usize]
    }
}
