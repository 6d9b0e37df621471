//! Records as JSON lines.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::blocks::{self, records};
use super::super::columns::at;
use super::super::input::SourceFile;
use super::super::json::{no_object, no_value};
use super::super::objects::{OneOf, Scalar, Text, twice};
use super::Taker;
use crate::data::field_value::{FieldValue, Value};

/// Reads a file of one JSON object a line.
pub(super) fn read(taker: &mut Taker, path: &Path) -> Result<SourceFile> {
    blocks::for_each(path, None, |block, _| {
        let keys: Vec<&str> = taker.asked.columns().collect();
        let lines: Vec<(usize, &str)> = records(block, None)
            .map(|(line, range)| (line, block.text[range].trim()))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let parsed: Vec<_> = lines.par_iter().map(|(_, text)| parse(text, &keys)).collect();
        for ((line, text), parsed) in lines.iter().zip(parsed) {
            let place = || at(path, *line);
            let Parsed { id, values } = parsed.map_err(|error| no_object(&place(), text, error))?;
            let id = id.ok_or_else(|| no_value(&place(), taker.asked.id, text))?;
            for (seen, value) in taker.seen.iter_mut().zip(&values) {
                *seen |= value.is_some();
            }
            let values = values.into_iter().map(Option::unwrap_or_default).collect();
            taker.row(*line, Some(&id), values)?;
        }
        Ok(())
    })
}

struct Parsed {
    id: Text,
    /// `None`: the object has no such key.
    values: Vec<Option<FieldValue>>,
}

fn parse(text: &str, keys: &[&str]) -> serde_json::Result<Parsed> {
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = Object(keys).deserialize(&mut json)?;
    json.end()?;
    Ok(parsed)
}

/// An object with the id under the first of these keys, and fields under the others.
struct Object<'a>(&'a [&'a str]);

impl<'t> DeserializeSeed<'t> for Object<'_> {
    type Value = Parsed;

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Parsed, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Object<'_> {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let keys = self.0;
        let mut parsed = Parsed { id: None, values: vec![None; keys.len() - 1] };
        while let Some(key) = map.next_key_seed(OneOf(keys))? {
            match key {
                None => _ = map.next_value::<IgnoredAny>()?,
                Some(0) if parsed.id.is_some() => return Err(twice(keys[0])),
                Some(0) => parsed.id = map.next_value_seed(Scalar)?,
                Some(at) => {
                    let value = &mut parsed.values[at - 1];
                    if value.is_some() {
                        return Err(twice(keys[at]));
                    }
                    *value = Some(map.next_value_seed(Value { name: keys[at], listed: false })?);
                }
            }
        }
        Ok(parsed)
    }
}
