//! `[items]` and `[users]` of a description: which fields are known of them, and where that stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::archive::on_disk;
use super::field_kind::FieldKind;
use crate::misuse;

/// Buckets of a number where nothing else is said.
const BUCKETS: u32 = 10;

/// More buckets than any number needs.
const MOST_BUCKETS: u32 = 1 << 16;

/// How one field is read and coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    pub kind: FieldKind,
    /// Of a number; 10 if not given.
    pub buckets: Option<u32>,
    /// The column or key that holds it; the field's name if not given.
    pub column: Option<String>,
}

/// Where records of items or users lie, and which of their fields are known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSource {
    /// Read one after another; without any the fields are columns of the log.
    pub files: Vec<PathBuf>,
    /// The column or key of the ids; if not given that of the log, or `item`, `user` where the log
    /// gives its columns no names.
    pub id: Option<String>,
    /// Values of categories that fewer items of the catalogue, or users, have share one code.
    pub min_count: u64,
    /// Whether items that the log does not hold become items of the catalogue.
    pub keep_cold: bool,
    /// By name.
    pub fields: BTreeMap<String, FieldRule>,
}

impl Default for RecordSource {
    fn default() -> RecordSource {
        let (files, fields) = (vec![], BTreeMap::new());
        RecordSource { files, id: None, min_count: 5, keep_cold: false, fields }
    }
}

impl FieldRule {
    /// One of that kind, in the column of its name.
    pub fn of(kind: FieldKind) -> FieldRule {
        FieldRule { kind, buckets: None, column: None }
    }

    /// The buckets of a number.
    pub fn buckets(&self) -> u32 {
        self.buckets.unwrap_or(BUCKETS)
    }

    /// The kind, and of numbers the buckets, as an option gives them: `number:20`.
    ///
    /// # Errors
    /// A sentence that says what can be given.
    pub fn parse(text: &str) -> Result<FieldRule, String> {
        let (kind, buckets) = match text.split_once(':') {
            Some((kind, buckets)) => (kind, Some(buckets)),
            None => (text, None),
        };
        let kind = FieldKind::ALL.into_iter().find(|known| known.name() == kind);
        let kind = kind.ok_or("give category, categories, number or number:BUCKETS")?;
        let buckets =
            buckets.map(|buckets| buckets.parse().map_err(|_| "BUCKETS is a whole number"));
        Ok(FieldRule { buckets: buckets.transpose()?, ..FieldRule::of(kind) })
    }
}

impl RecordSource {
    /// # Errors
    /// A file that is not there.
    pub fn find(&self) -> Result<()> {
        match self.files.iter().find(|path| !on_disk(path).is_file()) {
            Some(path) => misuse!("there is no file {}", path.display()),
            None => Ok(()),
        }
    }

    /// Refuses, before anything is read, what cannot work. `who`: "item" or "user".
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with the setting and what to do.
    pub fn check(&self, who: &str) -> Result<()> {
        if self.fields.is_empty() {
            misuse!(
                "no field of the {who}s is given: name each with its kind under [{who}s.fields], or \
                 by --{who}-field NAME=category"
            );
        }
        if self.files.is_empty() && (self.id.is_some() || self.keep_cold) {
            misuse!(
                "the column of ids, and keeping cold items, are for files of {who}s: give --{who}s FILE"
            );
        }
        if self.keep_cold && who != "item" {
            misuse!("keep_cold is for items only");
        }
        if self.min_count == 0 {
            misuse!("the {who}s' min_count is at least 1");
        }
        for (name, rule) in &self.fields {
            if name.is_empty() || name == who {
                misuse!("a field of the {who}s cannot be called {name:?}");
            }
            match (rule.kind, rule.buckets) {
                (FieldKind::Number, _) if !(2..=MOST_BUCKETS).contains(&rule.buckets()) => {
                    misuse!("the field `{name}`: buckets must be from 2 to {MOST_BUCKETS}")
                }
                (FieldKind::Number, _) | (_, None) => {}
                (kind, _) => misuse!("the field `{name}`: a {} has no buckets", kind.name()),
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for FieldRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FieldRule, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            kind: FieldKind,
            buckets: Option<u32>,
            column: Option<String>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = FieldRule;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a kind, as \"category\", or a table, as { kind = \"number\", buckets = 10 }",
                )
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<FieldRule, E> {
                let kind = FieldKind::ALL.into_iter().find(|kind| kind.name() == name);
                const NAMES: &[&str] = &["category", "categories", "number"];
                kind.map(FieldRule::of).ok_or_else(|| E::unknown_variant(name, NAMES))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldRule, A::Error> {
                let Long { kind, buckets, column } =
                    Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FieldRule { kind, buckets, column })
            }
        }
        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RecordSource, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn fields_are_given_short_or_long() {
        let text = "files = ['a']\nid = 'x'\n[fields]\nb = 'categories'\n\
                    a = { kind = 'number', buckets = 7, column = '3' }\n";
        let source = read(text).unwrap();
        let long =
            FieldRule { kind: FieldKind::Number, buckets: Some(7), column: Some("3".into()) };
        let fields = [("a".to_owned(), long), ("b".into(), FieldRule::of(FieldKind::Categories))];
        assert_eq!(source.fields, fields.into());
        assert_eq!((source.min_count, source.keep_cold), (5, false));
        source.check("item").unwrap();
        for (text, rule) in [
            ("category", FieldRule::of(FieldKind::Category)),
            ("number", FieldRule::of(FieldKind::Number)),
            ("number:20", FieldRule { buckets: Some(20), ..FieldRule::of(FieldKind::Number) }),
        ] {
            assert_eq!(FieldRule::parse(text), Ok(rule));
        }
        assert!(FieldRule::parse("numbers").is_err() && FieldRule::parse("number:x").is_err());
        assert_eq!(FieldRule::of(FieldKind::Number).buckets(), 10);
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_read() {
        for (who, text, expected) in [
            (
                "item",
                "",
                "no field of the items is given: name each with its kind under [items.fields]",
            ),
            ("item", "keep_cold = true\n[fields]\na = 'number'", "the column of ids, and keeping"),
            ("item", "id = 'x'\n[fields]\na = 'number'", "the column of ids, and keeping"),
            (
                "user",
                "files = ['u']\nkeep_cold = true\n[fields]\na = 'number'",
                "keep_cold is for items",
            ),
            ("user", "min_count = 0\n[fields]\na = 'number'", "the users' min_count is at least 1"),
            (
                "item",
                "[fields]\nitem = 'category'",
                "a field of the items cannot be called \"item\"",
            ),
            ("item", "[fields]\n'' = 'category'", "a field of the items cannot be called \"\""),
            (
                "item",
                "[fields]\na = { kind = 'number', buckets = 1 }",
                "the field `a`: buckets must be from 2",
            ),
            (
                "item",
                "[fields]\na = { kind = 'category', buckets = 9 }",
                "the field `a`: a category has no",
            ),
        ] {
            let said = read(text).unwrap().check(who).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{said}");
        }
        let said = read("[fields]\na = 'categry'").unwrap_err().to_string();
        assert!(said.contains("unknown variant `categry`, expected one of `category`"), "{said}");
        let said = read("[fields]\na = 7").unwrap_err().to_string();
        assert!(said.contains("expected a kind, as \"category\", or a table"), "{said}");
    }
}
