//! What is known of items or users besides their ids.

use serde::{Deserialize, Serialize};

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
