//! Values of a JSON object by their keys, read without looking at anything else.

use std::fmt;

use compact_str::{CompactString, ToCompactString, format_compact};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// A value as text, without memory of its own where it is short; `None` where there is none.
pub(super) type Text = Option<CompactString>;

/// An object; appends the values of its keys.
pub(super) struct Object<'a> {
    pub keys: &'a [&'a str],
    pub values: &'a mut Vec<Text>,
}

impl<'t> DeserializeSeed<'t> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let start = self.values.len();
        self.values.resize(start + self.keys.len(), None);
        while let Some(key) = map.next_key_seed(OneOf(self.keys))? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = &mut self.values[start + key];
            if value.is_some() {
                return Err(twice(self.keys[key]));
            }
            *value = map.next_value_seed(Scalar)?;
        }
        Ok(())
    }
}

/// What is said of a key that an object has twice: it would be guessing to take one of them.
pub(super) fn twice<E: Error>(key: &str) -> E {
    E::custom(format_args!("`{key}` stands there twice"))
}

/// A key's place among some, found without a copy of it.
pub(super) struct OneOf<'a>(pub &'a [&'a str]);

impl<'t> DeserializeSeed<'t> for OneOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key))
    }
}

/// Text, a number, true or false, as text.
pub(super) struct Scalar;

impl<'t> DeserializeSeed<'t> for Scalar {
    type Value = Text;

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Text, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Scalar {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Some(text.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Some(number.to_compact_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Some(number.to_compact_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
        // A whole number of more than 64 bits comes as the nearest float, and so do its neighbours.
        if number.abs() >= 2f64.powi(63) {
            return Err(E::custom(format_args!(
                "{number:e} stands for a number with more digits than are kept of one: write it as \
                 text, in quotes"
            )));
        }
        // With its decimals, as logs write it: 5.0 is not 5.
        Ok(Some(format_compact!("{number:?}")))
    }

    fn visit_bool<E: Error>(self, holds: bool) -> Result<Text, E> {
        Ok(Some(if holds { "true" } else { "false" }.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(None)
    }
}
