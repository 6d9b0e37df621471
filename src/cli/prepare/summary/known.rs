//! What is known of items and users besides their ids, and which items are cold.

use crate::cli::table::count;
use crate::data::{Dataset, Features, Field, FieldKind, KnownCounts};
use crate::error::short;

/// A row for each field, with what was made of it, and what was left out.
pub fn fields(dataset: &Dataset) -> Vec<[String; 2]> {
    let manifest = &dataset.manifest;
    let mut rows = vec![];
    for (who, features, counts) in [
        ("item", &dataset.item_features, &manifest.items),
        ("user", &dataset.user_features, &manifest.users),
    ] {
        if let (Some(features), Some(counts)) = (features, counts) {
            rows.extend(of(who, features, counts));
        }
    }
    rows
}

fn of(who: &str, features: &Features, counts: &KnownCounts) -> Vec<[String; 2]> {
    let mut rows = vec![];
    for (field, own) in features.schema.fields.iter().zip(&counts.fields) {
        let (what, codes) = coded(field);
        let share = 100.0 * own.known as f64 / features.len().max(1) as f64;
        rows.push([
            format!("{who}s' field {}", field.name),
            format!("{}, {} {what}", field.kind.name(), count(codes)),
        ]);
        rows.push([format!("… known of so many {who}s"), format!("{share:.2} %")]);
        if field.kind != FieldKind::Number {
            let name = format!("… values of fewer than {}, as one", counts.min_count);
            rows.push([name, count(own.rare)]);
        }
        if counts.files.is_empty() {
            rows.push(["… events that say otherwise later on".into(), count(own.others)]);
        }
    }
    if !counts.files.is_empty() {
        rows.push([format!("left out: records of other {who}s"), count(counts.left_out)]);
    }
    if let Some(first) = &counts.first_left_out {
        let first = format!("{}, {}", first.place, short(&first.id));
        rows.push(["… the first of them".into(), first]);
    }
    if counts.kept_cold > 0 {
        rows.push(["items that the log does not hold".into(), count(counts.kept_cold)]);
    }
    rows
}

/// What a field has codes for besides what is missing or unknown, and for how many.
pub fn coded(field: &Field) -> (&'static str, u32) {
    let what = if field.kind == FieldKind::Number { "buckets" } else { "values" };
    (what, field.codes() - 2)
}

/// What the rule for cold items came to, if there is one.
pub fn cold(dataset: &Dataset) -> Vec<[String; 2]> {
    let (Some(cold), dropped) = (&dataset.cold, &dataset.manifest.dropped) else { return vec![] };
    vec![
        ["cold items".into(), count(cold.items.len() as u64)],
        ["… and their interactions, taken out".into(), count(dropped.cold_item_interactions)],
        ["… users who had no others, dropped".into(), count(dropped.cold_users)],
        ["… users whose last item is one".into(), count(cold.targets.len() as u64)],
    ]
}
