//! The summary for programs.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Lengths, Part, known};
use crate::cli::table;
use crate::data::{Cold, Dataset, Description, Features, Field, Manifest, Split};

/// Prints what `dataset.toml` says, and besides it what else the summary tells, as JSON.
///
/// # Errors
/// Those of [`Manifest::load`] and [`table::say`].
pub fn print_json(dataset: &Dataset, description: &Description, out: &Path) -> Result<()> {
    let beside = |numbers: Vec<(&str, u64, u64)>| -> Value {
        let of = |(name, wanted, found)| json!({ "name": name, "wanted": wanted, "found": found });
        numbers.into_iter().map(of).collect()
    };
    let counts = &dataset.manifest.counts;
    let published = description
        .published
        .iter()
        .map(|published| json!({ "by": published.by, "counts": beside(published.beside(counts)) }));
    let fields = |features: &Option<Features>| -> Value {
        let field = |field: &Field| {
            let (what, codes) = known::coded(field);
            json!({ "name": field.name, "kind": field.kind, (what): codes })
        };
        features.iter().flat_map(|features| &features.schema.fields).map(field).collect()
    };
    let cold =
        |cold: &Cold| json!({ "items": cold.items.len(), "users_asked": cold.targets.len() });
    table::say_json(&json!({
        "dataset": Manifest::load(out)?,
        "sequence_length": Lengths::of(dataset),
        "repeats": dataset.repeats(),
        "tied_times": dataset.tied_times(),
        "train": Part::of(dataset, Split::Train),
        "validation": Part::of(dataset, Split::Validation),
        "test": Part::of(dataset, Split::Test),
        "item_fields": fields(&dataset.item_features),
        "user_fields": fields(&dataset.user_features),
        "cold": dataset.cold.as_ref().map(cold),
        "expected": beside(description.expected.beside(counts)),
        "published": published.collect::<Vec<_>>(),
        "written_to": out,
    }))
}
