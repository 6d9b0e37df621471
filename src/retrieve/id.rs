//! An id as clients write it in JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// An original id: a text, or a whole number, which stands for its decimal digits. A data set has
/// ids as text whatever the log had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(pub String);

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an id, which is a text or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Ok(Id(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        Ok(Id(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_whole_numbers_are_ids_and_nothing_else_is() {
        let ids: Vec<Id> =
            serde_json::from_str(r#"["a\n", 7, "007", -3, 18446744073709551615]"#).unwrap();
        let expected = ["a\n", "7", "007", "-3", "18446744073709551615"];
        assert_eq!(ids, expected.map(|id| Id(id.into())));
        for wrong in ["1.0", "1e3", "18446744073709551616", "null", "true", "[1]", "{}"] {
            let error = serde_json::from_str::<Id>(wrong).unwrap_err().to_string();
            assert!(error.contains("a text or a whole number"), "{wrong}: {error}");
        }
    }
}
