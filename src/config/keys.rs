//! The keys that a configuration file may hold, as serde knows them.

use serde::de::value::Error;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::Settings;

/// The dotted names of all keys, in their order: `tower.dim`, `sampling.negatives.from`.
pub fn keys() -> Vec<String> {
    let mut all = vec![];
    walk(&mut vec![], &mut all);
    all
}

/// Adds the keys below the table `path`.
fn walk(path: &mut Vec<&'static str>, to: &mut Vec<String>) {
    for field in fields(path) {
        path.push(field);
        match fields(path).is_empty() {
            true => to.push(path.join(".")),
            false => walk(path, to),
        }
        path.pop();
    }
}

/// The fields of what stands at `path`; none of a value.
fn fields(path: &[&'static str]) -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It ends with an error at the latest where the path does: what is asked for there counts.
    let _ = Settings::deserialize(Probe { path, fields: &mut fields });
    fields
}

/// Goes along a path through the tables that a type asks for, and notes the fields of the last.
struct Probe<'a> {
    path: &'a [&'static str],
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.path.split_first() {
            None => {
                *self.fields = fields;
                Err(end())
            }
            Some((key, path)) => visitor.visit_map(One { key, path, fields: self.fields }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(end())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct tuple tuple_struct map enum identifier ignored_any
    }
}

/// A list of one element.
impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        seed.deserialize(Probe { path: self.path, fields: self.fields }).map(Some)
    }
}

/// A table of one key.
struct One<'a> {
    key: &'static str,
    path: &'a [&'static str],
    fields: &'a mut &'static [&'static str],
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        seed.deserialize(self.key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Probe { path: self.path, fields: self.fields })
    }
}

fn end() -> Error {
    serde::de::Error::custom("the end of the path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_tables_and_of_lists_of_tables_are_told() {
        let keys = keys();
        for key in [
            "seed",
            "device",
            "data.path",
            "tower.dim",
            "tower.dropout",
            "sampling.batch",
            "sampling.negatives.from",
            "sampling.negatives.power",
            "loss.log_q",
            "optimizer.warmup_steps",
            "train.epochs",
            "train.monitor",
            "evaluation.at",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}: {keys:?}");
        }
        assert!(!keys.iter().any(|key| key == "tower" || key == "sampling.negatives"));
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn every_key_of_a_written_configuration_is_known() {
        fn check(prefix: &str, value: &toml::Value, known: &[String]) {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        check(&format!("{prefix}.{key}"), value, known);
                    }
                }
                toml::Value::Array(all) if all.iter().any(toml::Value::is_table) => {
                    all.iter().for_each(|value| check(prefix, value, known));
                }
                _ => assert!(known.iter().any(|key| key == &prefix[1..]), "{prefix}"),
            }
        }
        let settings: Settings = toml::from_str("data.path = \"x\"").unwrap();
        let table = toml::Table::try_from(settings.checked().unwrap()).unwrap();
        check("", &toml::Value::Table(table), &keys());
    }
}
