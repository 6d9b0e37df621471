//! What a record says of a field.

use std::fmt;

use anyhow::{Result, bail};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::field_kind::FieldKind;
use crate::error::short;

/// What a record says of a field, as it was read; empty text is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FieldValue {
    #[default]
    Missing,
    One(String),
    Many(Vec<String>),
    Number(f64),
}

/// The same by the field's kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Missing,
    /// Finite.
    Number(f64),
    /// One or more.
    Texts(Vec<String>),
}

/// What separates the values of a list that is written as one text.
const BETWEEN: char = '|';

impl FieldValue {
    /// A cell of a table of text. One of a field of categories is a list, its values separated by `|`.
    pub(super) fn of_cell(cell: &str, kind: FieldKind) -> FieldValue {
        match kind {
            FieldKind::Categories => {
                FieldValue::Many(cell.split(BETWEEN).map(str::to_owned).collect())
            }
            FieldKind::Category | FieldKind::Number => FieldValue::One(cell.to_owned()),
        }
    }

    /// What it is as a value of the field `name`, of that kind.
    ///
    /// # Errors
    /// A list where one value is meant; what is no number, or no finite one.
    pub(super) fn told(&self, name: &str, kind: FieldKind) -> Result<Told> {
        let full = |texts: Vec<String>| match texts.is_empty() {
            true => Told::Missing,
            false => Told::Texts(texts),
        };
        let number = |number: Option<f64>, text: &str| match number {
            // Minus zero is zero.
            Some(number) if number.is_finite() => Ok(number + 0.0),
            _ => bail!("the field `{name}`: {:?} is no finite number", short(text)),
        };
        Ok(match (self, kind) {
            (FieldValue::Missing, _) => Told::Missing,
            (FieldValue::One(text), _) if text.is_empty() => Told::Missing,
            (FieldValue::One(text), FieldKind::Number) => {
                Told::Number(number(text.trim().parse().ok(), text)?)
            }
            (FieldValue::One(text), _) => Told::Texts(vec![text.clone()]),
            (FieldValue::Number(value), kind) => {
                let value = number(Some(*value), &value.to_string())?;
                match kind {
                    FieldKind::Number => Told::Number(value),
                    _ => Told::Texts(vec![value.to_string()]),
                }
            }
            (FieldValue::Many(texts), FieldKind::Categories) => {
                full(texts.iter().filter(|text| !text.is_empty()).cloned().collect())
            }
            (FieldValue::Many(_), kind) => {
                let what = if kind == FieldKind::Number { "a number" } else { "one value" };
                bail!("the field `{name}`: a list where {what} is meant (kind {})", kind.name())
            }
        })
    }
}

/// Text, a number, true or false, nothing, or a list of such, in JSON; numbers as they are written.
impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FieldValue, D::Error> {
        Value { name: "", listed: false }.deserialize(from)
    }
}

/// A [`FieldValue`] of the field `name`.
pub(super) struct Value<'a> {
    pub name: &'a str,
    /// Whether it is one of a list, where no list may stand.
    pub listed: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = FieldValue;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<FieldValue, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = FieldValue;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let what = if self.listed { "" } else { ", or a list of them," };
        match self.name {
            "" => write!(f, "text or a number{what}"),
            name => write!(f, "text or a number{what} in the field `{name}`"),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FieldValue, E> {
        Ok(FieldValue::One(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<FieldValue, E> {
        Ok(FieldValue::One(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<FieldValue, E> {
        Ok(FieldValue::One(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<FieldValue, E> {
        // As in logs: 5.0 is not 5.
        Ok(FieldValue::One(format!("{number:?}")))
    }

    fn visit_bool<E: Error>(self, holds: bool) -> Result<FieldValue, E> {
        Ok(FieldValue::One(holds.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<FieldValue, E> {
        Ok(FieldValue::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldValue, A::Error> {
        if self.listed {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let mut all = vec![];
        while let Some(value) = list.next_element_seed(Value { name: self.name, listed: true })? {
            if let FieldValue::One(text) = value {
                all.push(text);
            }
        }
        Ok(FieldValue::Many(all))
    }
}
