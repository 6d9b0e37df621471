//! What `/recommend` takes and gives.

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::data::Schema;
use crate::error::cut;
use crate::retrieve::{
    Catalogue, Hit, Id, Known, POPULARITY, UserFields, is_json_array, parse_json,
};

/// How many items are recommended if a request does not say.
pub const TOP: usize = 10;

/// The body of a request.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Original item ids, oldest first.
    pub histories: Vec<Vec<Id>>,
    #[serde(default = "top")]
    pub top: usize,
    #[serde(default)]
    pub exclude_seen: bool,
    /// Original ids of the only items that may be given; `None`: all may.
    pub allow: Option<Vec<Id>>,
    /// Original ids of items that may not be given.
    pub deny: Option<Vec<Id>>,
    /// What is known of the user of each history besides it; `None`: nothing.
    pub fields: Option<Vec<Option<UserFields>>>,
}

fn top() -> usize {
    TOP
}

impl Wish {
    /// Reads and checks a body; what is wrong is said in a sentence for the client.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self, String> {
        if is_json_array(body) {
            return Err("the body is an array where an object is expected".into());
        }
        let wish: Wish = parse_json(body)?;
        if wish.top == 0 || wish.top > limits.top {
            return Err(format!("top: {} is not in 1..={}", wish.top, limits.top));
        }
        let many = |what: String, count: usize, most: usize| match count > most {
            true => Err(format!("{what}: {count} where at most {most} are allowed")),
            false => Ok(()),
        };
        many("histories".into(), wish.histories.len(), limits.histories)?;
        for (at, history) in wish.histories.iter().enumerate() {
            many(format!("histories[{at}]"), history.len(), limits.history)?;
        }
        for (what, ids) in [("allow", &wish.allow), ("deny", &wish.deny)] {
            many(what.into(), ids.as_ref().map_or(0, Vec::len), limits.listed)?;
        }
        if let Some(fields) = &wish.fields {
            let (found, wanted) = (fields.len(), wish.histories.len());
            if found != wanted {
                return Err(format!("fields: {found} where there are {wanted} histories"));
            }
            for (at, fields) in fields.iter().enumerate() {
                for (name, values) in fields.iter().flat_map(UserFields::lists) {
                    many(format!("fields[{at}].{}", cut(name, 80)), values, limits.listed)?;
                }
            }
        }
        Ok(wish)
    }

    /// Of each history the codes of its user's fields, by those that the model reads of users, if it
    /// reads any; none where nothing is known. What is wrong is said in a sentence for the client.
    pub fn codes(&self, schema: Option<&Schema>) -> Result<Vec<Vec<u32>>, String> {
        let Some(all) = &self.fields else { return Ok(vec![vec![]; self.histories.len()]) };
        if schema.is_none() {
            return Err("fields: this model reads no fields of users".into());
        }
        let of = |(at, fields): (usize, &Option<UserFields>)| match fields {
            None => Ok(vec![]),
            Some(fields) => fields
                .codes(schema)
                .map_err(|error| fields.wrong_at(&format!("fields[{at}]"), &error)),
        };
        all.iter().enumerate().map(of).collect()
    }
}

/// The body of an answer.
#[derive(Serialize)]
pub struct Answer<'a> {
    /// One for each history, in order.
    pub recommendations: Vec<Recommendation<'a>>,
}

/// What is recommended for one history.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Recommendation<'a> {
    Items {
        /// The best first.
        items: Vec<Scored<'a>>,
        /// Items of the history that are not known.
        unknown: usize,
        /// What answered in the model's place, if anything.
        #[serde(skip_serializing_if = "Option::is_none")]
        fallback: Option<&'static str>,
    },
    Error {
        error: String,
    },
}

/// A recommended item.
#[derive(Serialize)]
pub struct Scored<'a> {
    pub item: &'a str,
    pub score: f32,
}

impl<'a> Answer<'a> {
    /// From the histories that were looked up, and the hits of those that have a known item; with
    /// `cold_start` of all of them.
    pub fn new(
        catalogue: &'a Catalogue,
        histories: &[Known],
        hits: Vec<Vec<Hit>>,
        cold_start: bool,
    ) -> Self {
        let mut hits = hits.into_iter();
        let scored = |hit: Hit| Scored { item: catalogue.original(hit.row), score: hit.score };
        let one = |known: &Known| match known.ids.is_empty() {
            true if !cold_start => Recommendation::Error { error: known.why_nothing() },
            cold => Recommendation::Items {
                items: hits.next().into_iter().flatten().map(scored).collect(),
                unknown: known.unknown,
                fallback: cold.then_some(POPULARITY),
            },
        };
        Self { recommendations: histories.iter().map(one).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieve::user_fields_tests::schema;
    use std::time::Duration;

    fn parse(body: &str) -> Result<Wish, String> {
        let timeout = Duration::from_secs(1);
        let limits = Limits {
            body: 1000,
            histories: 2,
            history: 3,
            listed: 2,
            top: 50,
            timeout,
            connections: 1,
        };
        Wish::parse(body.as_bytes(), &limits)
    }

    #[test]
    fn a_body_is_read_and_its_mistakes_are_named() {
        let wish = parse(r#"{"histories": [["a", "b"], []]}"#).unwrap();
        let histories = vec![vec![Id("a".into()), Id("b".into())], vec![]];
        let plain =
            Wish { histories, top: 10, exclude_seen: false, allow: None, deny: None, fields: None };
        assert_eq!(wish, plain);
        let wish = parse(r#"{"histories": [], "allow": [], "deny": ["a", 7]}"#).unwrap();
        assert_eq!(wish.allow, Some(vec![]));
        assert_eq!(wish.deny, Some(vec![Id("a".into()), Id("7".into())]));
        let wish = parse(r#"{"histories": [], "allow": null, "deny": null}"#).unwrap();
        assert_eq!((wish.allow, wish.deny), (None, None));
        let numbers = parse(r#"{"histories": [[7, "7"]]}"#).unwrap();
        assert_eq!(numbers.histories, [[Id("7".into()), Id("7".into())]]);
        for (body, words) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("[[[\"a\"]], 5, false]", "an object is expected"),
            ("{}", "missing field `histories`"),
            (r#"{"histories": [], "n": 3}"#, "unknown field `n`"),
            (
                r#"{"histories": [["a", 7.5]]}"#,
                "histories[0][1]: invalid type: floating point `7.5`",
            ),
            (r#"{"histories": ["a"]}"#, "histories[0]: invalid type: string"),
            (r#"{"histories": [], "top": -1}"#, "top: invalid value: integer `-1`"),
            (r#"{"histories": [], "top": 1.5}"#, "top: invalid type: floating point"),
            (r#"{"histories": [], "top": 0}"#, "top: 0 is not in 1..=50"),
            (r#"{"histories": [], "top": 51}"#, "top: 51 is not in 1..=50"),
            (r#"{"histories": [[], [], []]}"#, "histories: 3 where at most 2"),
            (r#"{"histories": [[], ["a", "a", "a", "a"]]}"#, "histories[1]: 4 where at most 3"),
            (r#"{"histories": [], "allow": ["a", 1, 2]}"#, "allow: 3 where at most 2"),
            (r#"{"histories": [], "deny": ["a", 1, 2]}"#, "deny: 3 where at most 2"),
            (r#"{"histories": [], "allow": "a"}"#, "allow: invalid type: string"),
            (r#"{"histories": [], "deny": [1.5]}"#, "deny[0]: invalid type: floating point"),
            (r#"{"histories": [[]], "fields": []}"#, "fields: 0 where there are 1 histories"),
            (r#"{"histories": [], "fields": [null]}"#, "fields: 1 where there are 0 histories"),
            (r#"{"histories": [[]], "fields": {}}"#, "fields: invalid type: map"),
            (r#"{"histories": [[], []], "fields": [null, 7]}"#, "fields[1]: invalid type: integer"),
            (
                r#"{"histories": [[]], "fields": [{"age": {}}]}"#,
                "fields[0].age: invalid type: map, expected text or a number",
            ),
            (
                r#"{"histories": [[]], "fields": [{"tags": [["a"]]}]}"#,
                "fields[0].tags[0]: invalid type: sequence",
            ),
            (
                r#"{"histories": [[]], "fields": [{"tags": ["a", "b", "c"]}]}"#,
                "fields[0].tags: 3 where at most 2",
            ),
            (r#"{"histories": []} x"#, "trailing"),
        ] {
            let error = parse(body).unwrap_err();
            assert!(error.contains(words), "{body}: {error}");
        }
    }

    #[test]
    fn fields_become_codes_and_their_mistakes_are_named() {
        let wish = |fields: &str| {
            parse(&format!(r#"{{"histories": [["a"], []], "fields": {fields}}}"#)).unwrap()
        };
        let schema = schema();
        let codes = |fields| wish(fields).codes(Some(&schema));
        let told = r#"[null, {"country": "UK", "tags": ["b", "b"]}]"#;
        assert_eq!(codes(told).unwrap(), [vec![], vec![4, 5, 12]]);
        assert_eq!(codes("[{}, null]").unwrap(), [vec![1, 5, 9], vec![]]);
        let nothing: Vec<Vec<u32>> = vec![vec![]; 2];
        assert_eq!(codes("null").unwrap(), nothing);
        assert_eq!(wish("null").codes(None).unwrap(), nothing);
        for (fields, expected) in [
            (r#"[null, {"age": "x"}]"#, "fields[1].age: \"x\" is no finite number"),
            (r#"[{"ages": 5}, null]"#, "fields[0]: there is no field `ages`: did you mean `age`?"),
        ] {
            let said = codes(fields).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
        let said = wish("[null, null]").codes(None).unwrap_err();
        assert_eq!(said, "fields: this model reads no fields of users");
    }

    #[test]
    fn answers_stand_at_the_place_of_their_history() {
        let catalogue = Catalogue::new(vec!["a".into(), "b".into()]);
        let histories = [
            catalogue.known(&["x", "y"]),
            catalogue.known(&["a", "x"]),
            catalogue.known::<&str>(&[]),
            catalogue.known(&["b"]),
        ];
        let hits = [vec![Hit { row: 1, score: 0.5 }], vec![]];
        let answer = |hits: &[Vec<Hit>], cold_start| {
            let answer = Answer::new(&catalogue, &histories, hits.to_vec(), cold_start);
            serde_json::to_value(answer).unwrap()
        };
        let expected = serde_json::json!({"recommendations": [
            {"error": "none of its 2 items is known"},
            {"items": [{"item": "b", "score": 0.5}], "unknown": 1},
            {"error": "the history is empty"},
            {"items": [], "unknown": 0},
        ]});
        assert_eq!(answer(&hits, false), expected);
        let hits = [vec![Hit { row: 0, score: 7.0 }], vec![], vec![], vec![]];
        let expected = serde_json::json!({"recommendations": [
            {"items": [{"item": "a", "score": 7.0}], "unknown": 2, "fallback": "popularity"},
            {"items": [], "unknown": 1},
            {"items": [], "unknown": 0, "fallback": "popularity"},
            {"items": [], "unknown": 0},
        ]});
        assert_eq!(answer(&hits, true), expected);
    }
}
