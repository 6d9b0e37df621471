//! What is known of items or users besides their ids.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::distinct::distinct;
use super::field_kind::FieldKind;
use super::field_value::{FieldValue, Told};
use crate::config::nearest;
use crate::error::cut;
use crate::misuse;

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

    /// Appends the codes of a value, ascending and each once; `first` is that for what is missing.
    pub(super) fn encode(&self, told: &Told, first: u32, codes: &mut Vec<u32>) {
        match told {
            Told::Missing => codes.push(first),
            Told::Number(number) => {
                let bucket = self.bounds.partition_point(|bound| bound <= number);
                codes.push(first + 2 + bucket as u32);
            }
            Told::Texts(texts) => {
                let code = |text: &String| match self.values.binary_search(text) {
                    Ok(place) => first + 2 + place as u32,
                    Err(_) => first + 1,
                };
                codes.extend(distinct(&texts.iter().map(code).collect::<Vec<_>>()));
            }
        }
    }

    fn check(&self) -> Result<()> {
        let (values, bounds) = (&self.values, &self.bounds);
        let sound = match self.kind {
            FieldKind::Category | FieldKind::Categories => bounds.is_empty(),
            FieldKind::Number => values.is_empty(),
        };
        ensure!(
            sound
                && values.is_sorted_by(|one, next| one < next)
                && bounds.is_sorted_by(|one, next| one < next)
                && bounds.iter().all(|bound| bound.is_finite()),
            "the values of the field `{}` are not those of its kind, ascending",
            self.name
        );
        Ok(())
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

    /// The codes of one record: what each of its fields is told to be; a field that it does not have
    /// is missing. They are those that [`Features::of`] gives of an item that is told the same of.
    ///
    /// # Errors
    /// A name that is no field's; what is no value of its field's kind. Each names the field.
    pub fn codes(&self, record: &BTreeMap<String, FieldValue>) -> Result<Vec<u32>> {
        for name in record.keys() {
            if !self.fields.iter().any(|field| field.name == *name) {
                misuse!("there is no field {}", self.instead_of(name));
            }
        }
        let mut codes = vec![];
        for (field, first) in self.fields.iter().zip(self.first_codes()) {
            let told = match record.get(&field.name) {
                None => Told::Missing,
                Some(value) => value.told(&field.name, field.kind)?,
            };
            field.encode(&told, first, &mut codes);
        }
        Ok(codes)
    }

    /// A name that is no field's, and those that are.
    fn instead_of(&self, name: &str) -> String {
        let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        let likely = nearest(name, known.iter().copied());
        let likely = likely.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
        format!("`{}`{likely} (there are: {})", cut(name, 80), known.join(", "))
    }

    /// From JSON, as serde writes it.
    ///
    /// # Errors
    /// What is no schema; those of [`Schema::check`].
    pub fn parse(json: &str) -> Result<Schema> {
        let schema: Schema = serde_json::from_str(json)?;
        schema.check()?;
        Ok(schema)
    }

    /// # Errors
    /// Two fields of one name; values or bounds that are not ascending; more codes than 2³².
    pub fn check(&self) -> Result<()> {
        let mut rows = 1u32;
        for (at, field) in self.fields.iter().enumerate() {
            let twice = self.fields[..at].iter().any(|other| other.name == field.name);
            ensure!(!twice, "the field `{}` is there twice", field.name);
            field.check()?;
            let most = field.values.len().max(field.bounds.len());
            let fits = u32::try_from(most).is_ok_and(|most| most < u32::MAX - 3);
            let next = fits.then(|| rows.checked_add(field.codes())).flatten();
            rows = next.context("the fields have more than 2^32 values")?;
        }
        Ok(())
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
                misuse!("{key}: the dataset has no field {}", self.schema.instead_of(name));
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

    /// Appends the codes of the next one.
    pub(super) fn push(&mut self, codes: &[u32]) -> Result<()> {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.codes.extend(codes);
        self.starts
            .push(u32::try_from(self.codes.len()).context("more than 2^32 values of fields")?);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A field of these values or bounds.
    pub fn field(name: &str, kind: FieldKind, values: &[&str], bounds: &[f64]) -> Field {
        let values = values.iter().map(|value| value.to_string()).collect();
        Field { name: name.into(), kind, values, bounds: bounds.to_vec() }
    }

    /// Codes 1 to 4, 5 to 9 and 10 to 13.
    fn schema() -> Schema {
        Schema {
            fields: vec![
                field("brand", FieldKind::Category, &["5", "x"], &[]),
                field("price", FieldKind::Number, &[], &[-1.5, 10.0]),
                field("tags", FieldKind::Categories, &["a", "b"], &[]),
            ],
        }
    }

    fn record(of: &[(&str, FieldValue)]) -> BTreeMap<String, FieldValue> {
        of.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    #[test]
    fn a_record_has_codes_of_every_field() {
        let one = |text: &str| FieldValue::One(text.into());
        let many =
            |all: &[&str]| FieldValue::Many(all.iter().map(|text| text.to_string()).collect());
        let number = FieldValue::Number;
        for (of, codes) in [
            (vec![], vec![1, 5, 10]),
            (vec![("brand", one("x")), ("price", one(" 10 ")), ("tags", one("b"))], vec![4, 9, 13]),
            (vec![("brand", one("")), ("price", one("")), ("tags", many(&[]))], vec![1, 5, 10]),
            (vec![("brand", one("y")), ("price", number(-1.6))], vec![2, 7, 10]),
            (vec![("brand", number(5.0)), ("price", number(-1.5))], vec![3, 8, 10]),
            (
                vec![("price", number(9.99)), ("tags", many(&["b", "?", "a", "!", "b"]))],
                vec![1, 8, 11, 12, 13],
            ),
            (vec![("price", FieldValue::Missing), ("tags", many(&["", ""]))], vec![1, 5, 10]),
        ] {
            assert_eq!(schema().codes(&record(&of)).unwrap(), codes, "{of:?}");
        }
        assert_eq!((schema().rows(), schema().first_codes()), (14, vec![1, 5, 10]));
    }

    #[test]
    fn what_is_no_value_of_its_field_is_refused_by_its_name() {
        let many = || FieldValue::Many(vec!["x".into()]);
        for (name, value, expected) in [
            (
                "brnd",
                FieldValue::Missing,
                "there is no field `brnd`: did you mean `brand`? (there are: brand, price",
            ),
            ("brand", many(), "the field `brand`: a list where one value is meant (kind category)"),
            ("price", many(), "the field `price`: a list where a number is meant"),
            (
                "price",
                FieldValue::One("1,5".into()),
                "the field `price`: \"1,5\" is no finite number",
            ),
            (
                "price",
                FieldValue::Number(f64::NAN),
                "the field `price`: \"NaN\" is no finite number",
            ),
            (
                "tags",
                FieldValue::Number(f64::INFINITY),
                "the field `tags`: \"inf\" is no finite number",
            ),
        ] {
            let said = schema().codes(&record(&[(name, value)])).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_cannot_be_selected() {
        let features = Features { schema: schema(), starts: vec![0], codes: vec![] };
        let select = |name: &str| features.select(&["price".into(), name.into()], "tower.x");
        assert_eq!(select("tags").unwrap().schema.fields[1], schema().fields[2]);
        let error = select("tgas").unwrap_err();
        let expected = "tower.x: the dataset has no field `tgas`: did you mean `tags`? (there are: \
                        brand, price, tags)";
        assert_eq!(error.to_string(), expected);
        assert!(error.is::<crate::error::Misuse>());
        let said = select("weight").unwrap_err().to_string();
        assert_eq!(
            said,
            "tower.x: the dataset has no field `weight` (there are: brand, price, tags)"
        );
    }

    #[test]
    fn values_are_ascending_and_names_are_of_one_field() {
        assert!(schema().check().is_ok());
        let changes: [fn(&mut Schema); 6] = [
            |schema| schema.fields[0].values.swap(0, 1),
            |schema| schema.fields[0].values[0] = "x".into(),
            |schema| schema.fields[1].bounds[0] = 10.0,
            |schema| schema.fields[1].bounds[1] = f64::INFINITY,
            |schema| schema.fields[1].kind = FieldKind::Category,
            |schema| schema.fields[2].name = "brand".into(),
        ];
        for change in changes {
            let mut changed = schema();
            change(&mut changed);
            assert!(changed.check().is_err(), "{changed:?}");
        }
    }
}
