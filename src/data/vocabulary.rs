//! From what is told of items or users to codes: which values have one of their own.

use anyhow::{Context, Result};

use super::features::{Features, Field, Schema};
use super::field_kind::FieldKind;
use super::field_rule::FieldRule;
use super::field_value::Told;
use super::manifest::FieldCounts;
use super::records::{RecordField, Records, Values};

/// A field's vocabulary, and how its values in memory become codes.
struct Coded<'a> {
    field: Field,
    counts: FieldCounts,
    told: &'a RecordField,
    /// Of categories: the code of each text, counted from the field's first.
    codes: Vec<u32>,
}

/// The features of all items or users: `rows` are their records, if they have one. `rules` are those
/// of the records' fields.
///
/// # Errors
/// More than 2³² values or codes.
pub(super) fn features(
    records: &Records,
    rules: &[(&str, &FieldRule)],
    min_count: u64,
    rows: &[Option<u32>],
) -> Result<(Features, Vec<FieldCounts>)> {
    let mut fields = vec![];
    for ((name, rule), told) in rules.iter().zip(&records.fields) {
        fields.push(match &told.values {
            Values::Numbers(numbers) => of_numbers(name, rule, told, numbers, rows),
            Values::Texts { .. } => of_texts(name, rule, told, min_count, rows)?,
        });
    }
    let schema = Schema { fields: fields.iter().map(|coded| coded.field.clone()).collect() };
    schema.check()?;
    let first = schema.first_codes();
    let mut features = Features { schema, starts: vec![0], codes: vec![] };
    let mut own = vec![];
    for row in rows {
        own.clear();
        for (coded, first) in fields.iter().zip(&first) {
            coded.encode(row.map(|row| row as usize), *first, &mut own);
        }
        features.push(&own)?;
    }
    Ok((features, fields.into_iter().map(|coded| coded.counts).collect()))
}

fn of_numbers<'a>(
    name: &str,
    rule: &FieldRule,
    told: &'a RecordField,
    numbers: &[f64],
    rows: &[Option<u32>],
) -> Coded<'a> {
    let known = rows.iter().flatten().map(|row| numbers[*row as usize]);
    let mut known: Vec<f64> = known.filter(|number| !number.is_nan()).collect();
    known.sort_unstable_by(f64::total_cmp);
    let buckets = rule.buckets() as usize;
    let quantile = |bucket: usize| Some(*known.get(bucket * known.len() / buckets)?);
    let mut bounds: Vec<f64> = (1..buckets).filter_map(quantile).collect();
    bounds.dedup();
    // Nothing lies below the least.
    bounds.retain(|bound| Some(bound) != known.first());
    let counts = FieldCounts {
        name: name.to_owned(),
        known: known.len() as u64,
        rare: 0,
        others: told.others,
    };
    let field = Field { name: name.to_owned(), kind: rule.kind, values: vec![], bounds };
    Coded { field, counts, told, codes: vec![] }
}

fn of_texts<'a>(
    name: &str,
    rule: &FieldRule,
    told: &'a RecordField,
    min_count: u64,
    rows: &[Option<u32>],
) -> Result<Coded<'a>> {
    let texts: &[String] = match &told.values {
        Values::Texts { texts, .. } => texts,
        Values::Numbers(_) => &[],
    };
    let mut met = vec![0u64; texts.len()];
    let mut known = 0;
    for row in rows.iter().flatten() {
        let own = told.numbers(*row as usize);
        own.iter().for_each(|number| met[*number as usize] += 1);
        known += u64::from(!own.is_empty());
    }
    let frequent = |number: &usize| met[*number] >= min_count;
    let mut own: Vec<usize> = (0..texts.len()).filter(frequent).collect();
    own.sort_unstable_by_key(|number| &texts[*number]);
    let rare = met.iter().filter(|count| (1..min_count).contains(*count)).count() as u64;
    let mut codes = vec![1; texts.len()];
    for (place, number) in own.iter().enumerate() {
        codes[*number] = u32::try_from(place + 2).context("more than 2^32 values of a field")?;
    }
    let values = own.iter().map(|number| texts[*number].clone()).collect();
    let counts = FieldCounts { name: name.to_owned(), known, rare, others: told.others };
    let field = Field { name: name.to_owned(), kind: rule.kind, values, bounds: vec![] };
    Ok(Coded { field, counts, told, codes })
}

impl Coded<'_> {
    /// Appends the codes of the field in a record, if there is one.
    fn encode(&self, record: Option<usize>, first: u32, codes: &mut Vec<u32>) {
        match (record, &self.told.values) {
            (Some(record), Values::Numbers(numbers)) if !numbers[record].is_nan() => {
                self.field.encode(&Told::Number(numbers[record]), first, codes);
            }
            (Some(record), Values::Texts { .. }) if !self.told.numbers(record).is_empty() => {
                let start = codes.len();
                let own = self.told.numbers(record).iter();
                codes.extend(own.map(|number| first + self.codes[*number as usize]));
                if self.field.kind == FieldKind::Categories {
                    codes[start..].sort_unstable();
                    // Those without a code of their own are one.
                    let twice = codes[start..].partition_point(|code| *code <= first + 1);
                    codes.drain(start..(start + twice).saturating_sub(1).max(start));
                }
            }
            _ => codes.push(first),
        }
    }
}
