//! What clients write in JSON.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

/// Whether a JSON text is an array, whose elements serde would take for the fields of an object.
pub fn is_array(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"[")
}

/// Reads a JSON text; what is wrong is said with its place in the text.
///
/// # Errors
/// A text that is not JSON, or not what is asked for.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| {
        // To keep account of the place takes time, which only mistakes are worth.
        let mut json = serde_json::Deserializer::from_slice(text);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(placed) => match placed.path().iter().next_back() {
                // A text that ends too early has no place.
                None | Some(Segment::Unknown) => error.to_string(),
                Some(_) => format!("{}: {}", placed.path(), placed.inner()),
            },
            Ok(_) => error.to_string(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn mistakes_are_said_with_their_place() {
        type Lists = BTreeMap<String, Vec<u8>>;
        assert_eq!(parse::<Lists>(br#"{"a": [1]}"#).unwrap()["a"], [1]);
        for (text, expected) in [
            (r#"{"a": [1, "x"]}"#, "a[1]: invalid type: string"),
            (r#"{"a": []} x"#, "trailing characters at line 1"),
            ("7", "invalid type: integer `7`"),
            ("", "EOF while parsing"),
            (r#"{"a": [1]"#, "EOF while parsing"),
        ] {
            let said = parse::<Lists>(text.as_bytes()).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
