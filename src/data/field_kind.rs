//! Kinds of fields.

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

impl FieldKind {
    /// Every kind, in the order of help.
    pub const ALL: [FieldKind; 3] = [FieldKind::Category, FieldKind::Categories, FieldKind::Number];

    /// The name in descriptions and options.
    pub fn name(self) -> &'static str {
        match self {
            FieldKind::Category => "category",
            FieldKind::Categories => "categories",
            FieldKind::Number => "number",
        }
    }
}
