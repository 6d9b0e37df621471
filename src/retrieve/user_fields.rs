//! What a request says of its user besides the history.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::data::{FieldValue, Schema};
use crate::error::cut;
use crate::misuse;

/// Fields of a user by their names, as clients write them in JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserFields(BTreeMap<String, FieldValue>);

impl UserFields {
    /// Their codes by the fields that a model reads of users; `None`: it reads none.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] where it reads none, or not one of these; what is no value of its
    /// field's kind. Each names the field.
    pub fn codes(&self, schema: Option<&Schema>) -> Result<Vec<u32>> {
        match schema {
            Some(schema) => schema.codes(&self.0),
            None => misuse!("this model reads no fields of users: leave `fields` out"),
        }
    }

    /// How many values each field that is a list has.
    pub fn lists(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().filter_map(|(name, value)| match value {
            FieldValue::Many(values) => Some((name.as_str(), values.len())),
            _ => None,
        })
    }

    /// What is wrong with them, at the place of the field where it is that of one.
    pub fn wrong_at(&self, place: &str, error: &anyhow::Error) -> String {
        let said = error.to_string();
        let of_field = self.0.keys().find_map(|name| {
            let why = said.strip_prefix(&format!("the field `{name}`: "))?;
            Some(format!("{place}.{name}: {why}"))
        });
        of_field.unwrap_or_else(|| format!("{place}: {said}"))
    }
}

impl<'de> Deserialize<'de> for UserFields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = UserFields;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UserFields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, FieldValue>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("`{}` is there twice", cut(&name, 80))));
            }
            fields.insert(name, value);
        }
        Ok(UserFields(fields))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::data::{FieldKind, test_field as field};

    /// Codes 1 to 4, 5 to 8 and 9 to 12.
    pub fn schema() -> Schema {
        let fields = vec![
            field("country", FieldKind::Category, &["DE", "UK"], &[]),
            field("age", FieldKind::Number, &[], &[30.0]),
            field("tags", FieldKind::Categories, &["a", "b"], &[]),
        ];
        Schema { fields }
    }

    pub fn fields(json: &str) -> UserFields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn fields_have_the_codes_of_their_values() {
        for (json, codes) in [
            (r#"{"country": "UK", "age": 31, "tags": ["b", "a", "?"]}"#, vec![4, 8, 10, 11, 12]),
            (r#"{"tags": "b", "age": "29.5"}"#, vec![1, 7, 12]),
            (r#"{"country": null, "tags": []}"#, vec![1, 5, 9]),
            ("{}", vec![1, 5, 9]),
        ] {
            assert_eq!(fields(json).codes(Some(&schema())).unwrap(), codes, "{json}");
        }
        let lists = fields(r#"{"country": "UK", "tags": ["a", "a", "b"]}"#);
        assert_eq!(lists.lists().collect::<Vec<_>>(), [("tags", 3)]);
    }

    #[test]
    fn what_is_no_field_or_no_value_is_said_at_its_place() {
        for (json, expected) in [
            (r#"{"age": "old"}"#, "fields[2].age: \"old\" is no finite number"),
            (r#"{"country": ["UK"]}"#, "fields[2].country: a list where one value is meant"),
            (
                r#"{"contry": "UK"}"#,
                "fields[2]: there is no field `contry`: did you mean `country`",
            ),
        ] {
            let fields = fields(json);
            let error = fields.codes(Some(&schema())).unwrap_err();
            let said = fields.wrong_at("fields[2]", &error);
            assert!(said.starts_with(expected), "{said}");
        }
        let error = fields("{}").codes(None).unwrap_err();
        assert!(error.to_string().contains("reads no fields of users"), "{error}");
        assert!(error.is::<crate::error::Misuse>());
        for (json, expected) in [
            (r#"{"age": 1, "age": 2}"#, "`age` is there twice"),
            (r#"{"age": {}}"#, "text or a number, or a list of them"),
            ("[]", "an object of fields"),
        ] {
            let said = serde_json::from_str::<UserFields>(json).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
    }
}
