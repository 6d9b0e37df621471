//! Which values of fields two runs share: those of the same name in a field of the same name.

use crate::data::{Field, FieldKind, Schema};

/// The rows of tables of values that stand for the same, there and here. What is missing and what is
/// unknown are shared by fields of one name; of numbers a bucket takes over from that in which its
/// middle lies, of its ends where it has but one.
pub fn shared(there: &Schema, here: &Schema) -> Vec<(i64, i64)> {
    let mut all = vec![];
    for (own, first) in here.fields.iter().zip(here.first_codes()) {
        let mut earlier = there.fields.iter().zip(there.first_codes());
        if let Some((earlier, before)) = earlier.find(|(earlier, _)| earlier.name == own.name) {
            let row = |(there, here)| (i64::from(before + there), i64::from(first + here));
            all.extend(of_field(earlier, own).map(row));
        }
    }
    all
}

/// Their codes, counted from the field's first.
fn of_field(there: &Field, here: &Field) -> impl Iterator<Item = (u32, u32)> {
    let common = [(0, 0), (1, 1)].into_iter();
    let numbers = [there, here].map(|field| field.kind == FieldKind::Number);
    let own: Vec<(u32, u32)> = match numbers {
        [true, true] => {
            let bucket = |middle: f64| there.bounds.partition_point(|bound| *bound <= middle);
            middles(&here.bounds).into_iter().map(bucket).zip(0..).map(codes).collect()
        }
        [false, false] => {
            let place = |value| there.values.binary_search(value).ok();
            let own = here.values.iter().zip(0..);
            own.filter_map(|(value, at)| Some(codes((place(value)?, at)))).collect()
        }
        _ => vec![],
    };
    common.chain(own)
}

/// Behind what is missing and what is unknown.
fn codes((there, here): (usize, u32)) -> (u32, u32) {
    (there as u32 + 2, here + 2)
}

/// A number in each bucket.
fn middles(bounds: &[f64]) -> Vec<f64> {
    let lower = [f64::NEG_INFINITY].into_iter().chain(bounds.iter().copied());
    let upper = bounds.iter().copied().chain([f64::INFINITY]);
    let middle = |(lower, upper): (f64, f64)| lower / 2.0 + upper / 2.0;
    match bounds.is_empty() {
        true => vec![0.0],
        false => lower.zip(upper).map(middle).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::test_field as field;

    /// The rows of a schema by name: of buckets by their number.
    fn names(schema: &Schema) -> Vec<String> {
        let of = |field: &Field| {
            let buckets = (0..=field.bounds.len()).map(|at| at.to_string());
            let own: Vec<String> = match field.kind {
                FieldKind::Number => buckets.collect(),
                _ => field.values.clone(),
            };
            let all = ["missing", "unknown"].map(String::from).into_iter().chain(own);
            all.map(|value| format!("{} {value}", field.name)).collect::<Vec<_>>()
        };
        [vec!["padding".into()], schema.fields.iter().flat_map(of).collect()].concat()
    }

    #[test]
    fn rows_are_those_of_the_same_names_wherever_they_stand() {
        let there = Schema {
            fields: vec![
                field("gone", FieldKind::Category, &["a"], &[]),
                field("brand", FieldKind::Category, &["a", "b", "d"], &[]),
                field("tags", FieldKind::Categories, &["x"], &[]),
                field("size", FieldKind::Category, &["1"], &[]),
            ],
        };
        let here = Schema {
            fields: vec![
                field("tags", FieldKind::Categories, &["x", "y"], &[]),
                field("new", FieldKind::Category, &["a"], &[]),
                field("size", FieldKind::Number, &[], &[1.0]),
                field("brand", FieldKind::Category, &["b", "c", "d"], &[]),
            ],
        };
        let (before, now) = (names(&there), names(&here));
        let pairs = shared(&there, &here);
        for (there, here) in &pairs {
            assert_eq!(before[*there as usize], now[*here as usize]);
        }
        let mut found: Vec<&str> = pairs.iter().map(|(_, at)| now[*at as usize].as_str()).collect();
        found.sort_unstable();
        let expected = [
            "brand b",
            "brand d",
            "brand missing",
            "brand unknown",
            "size missing",
            "size unknown",
            "tags missing",
            "tags unknown",
            "tags x",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn buckets_take_over_from_those_that_their_middles_lie_in() {
        let of = |there: &[f64], here: &[f64]| {
            let schema =
                |bounds| Schema { fields: vec![field("price", FieldKind::Number, &[], bounds)] };
            let pairs = shared(&schema(there), &schema(here)).into_iter().skip(2);
            pairs.map(|(there, here)| (there - 3, here - 3)).collect::<Vec<_>>()
        };
        let same = [(0, 0), (1, 1), (2, 2)];
        assert_eq!(of(&[1.0, 2.0], &[1.0, 2.0]), same);
        assert_eq!(of(&[1.0, 2.0], &[0.9, 2.1]), same);
        // From 2 to 4 is what was from 1 on, and then from 3 on.
        assert_eq!(of(&[1.0], &[2.0, 4.0]), [(0, 0), (1, 1), (1, 2)]);
        assert_eq!(of(&[-1.0, 1.0], &[]), [(1, 0)]);
        assert_eq!(of(&[], &[5.0]), [(0, 0), (0, 1)]);
    }
}
