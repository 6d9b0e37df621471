//! JSON lines of which each holds a user and a list of the user's events.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::blocks::{self, Block};
use super::columns::{Reader, Rows, at, no_column};
use super::input::SourceFile;
use super::json::{Keys, lines, no_object, no_value};
use super::objects::{Object, OneOf, Scalar, Text, twice};

/// Reads a file of one JSON object a line, with the user's id and under the key `list` a list of
/// events, each an object with the other columns.
pub(super) fn read(reader: &mut Reader, path: &Path, list: &str) -> Result<SourceFile> {
    blocks::for_each(path, None, |block, read| {
        take(reader, path, block, list)?;
        reader.went_by(read);
        Ok(())
    })
}

fn take(reader: &mut Reader, path: &Path, block: &Block, list: &str) -> Result<()> {
    let user = reader.wanted.user;
    let keys = Keys::of(reader, 1);
    let names = keys.names();
    let wanted = Wanted { user, list, keys: &names };
    reader.take(&block.pieces(0, None), &|line| at(path, line), |piece, worker| {
        for (line, text) in lines(piece) {
            let place = || at(path, line);
            let parsed = wanted.parse(text).map_err(|error| {
                let wrong = format_args!("not readable as a user with a list of events: {error}");
                no_object(&place(), text, wrong)
            })?;
            let user = parsed.user.ok_or_else(|| no_value(&place(), wanted.user, text))?;
            let events = parsed.events.ok_or_else(|| no_value(&place(), list, text))?;
            let event = |row| &events[row * names.len()..(row + 1) * names.len()];
            let count = events.len() / names.len();
            let lacks = (0..count).find_map(|row| Some((row, keys.lacking(event(row))?)));
            let lines = vec![line; lacks.map_or(count, |(row, _)| row)];
            worker.rows(&lines, |row, column| match column.checked_sub(1) {
                None => &user,
                Some(column) => keys.cell(event(row), column),
            })?;
            if let Some((_, key)) = lacks {
                return Err(lacking(&place(), list, key, text));
            }
        }
        Ok(())
    })
}

/// What is looked for in a line.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    user: &'a str,
    list: &'a str,
    /// Of each event.
    keys: &'a [&'a str],
}

#[derive(Default)]
struct Parsed {
    user: Text,
    /// Event by event the values of all keys.
    events: Option<Vec<Text>>,
}

impl Wanted<'_> {
    fn parse(&self, text: &str) -> serde_json::Result<Parsed> {
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json.deserialize_map(*self)?;
        json.end()?;
        Ok(parsed)
    }
}

impl<'t> Visitor<'t> for Wanted<'_> {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut parsed = Parsed::default();
        while let Some(key) = map.next_key_seed(OneOf(&[self.user, self.list]))? {
            match key {
                Some(0) if parsed.user.is_some() => return Err(twice(self.user)),
                Some(1) if parsed.events.is_some() => return Err(twice(self.list)),
                Some(0) => parsed.user = map.next_value_seed(Scalar)?,
                Some(_) => parsed.events = Some(map.next_value_seed(Events(self.keys))?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(parsed)
    }
}

/// A list of events, of each the values of these keys.
struct Events<'a>(&'a [&'a str]);

impl<'t> DeserializeSeed<'t> for Events<'_> {
    type Value = Vec<Text>;

    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Vec<Text>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'t> Visitor<'t> for Events<'_> {
    type Value = Vec<Text>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut list: A) -> Result<Vec<Text>, A::Error> {
        let mut values = Vec::new();
        while list.next_element_seed(Object { keys: self.0, values: &mut values })?.is_some() {}
        Ok(values)
    }
}

/// What is said of a line in which an event has no value for `key`.
fn lacking(place: &str, list: &str, key: &str, text: &str) -> anyhow::Error {
    let known = || -> Result<Vec<String>> {
        let object: Map<String, Value> = serde_json::from_str(text)?;
        let events = object.get(list).and_then(Value::as_array).context("no list")?;
        let mut objects = events.iter().filter_map(Value::as_object);
        let event = objects.find(|event| event.get(key).is_none_or(Value::is_null));
        Ok(event.context("no such event")?.keys().cloned().collect())
    };
    let known = known().unwrap_or_default();
    if known.iter().any(|name| name == key) {
        return anyhow!("{place}: an event's `{key}` has no value");
    }
    no_column(&format!("{place}: an event"), key, &known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::data::{Format, Log, Source};

    fn source(folder: &tempfile::TempDir, text: &str) -> Source {
        let path = folder.path().join("log.jsonl");
        fs::write(&path, text).unwrap();
        let name = |name: &str| Some(name.to_owned());
        Source {
            files: vec![path],
            user: name("session"),
            item: name("aid"),
            time: name("ts"),
            events: name("events"),
            keep: BTreeMap::from([("type".to_owned(), vec!["clicks".to_owned()])]),
            ..Source::default()
        }
    }

    fn read(text: &str, change: impl FnOnce(&mut Source)) -> Result<Log> {
        let folder = tempfile::tempdir().unwrap();
        let mut source = source(&folder, text);
        change(&mut source);
        let strip = format!("{}/", folder.path().display());
        source.read(&mut |_| ()).map_err(|error| anyhow!(error.to_string().replace(&strip, "")))
    }

    #[test]
    fn every_event_of_the_wanted_kind_is_read_in_order() {
        let text = concat!(
            r#"{"session":7,"events":[{"aid":5,"ts":30,"type":"clicks"},"#,
            r#"{"aid":6,"ts":20,"type":"carts"},{"type":"clicks","x":[{"aid":1}],"aid":"6\t","ts":2.0}]}"#,
            "\n\n",
            r#"{"more":{"session":1},"events":[],"session":"empty"}"#,
            "\r\n",
            r#"{"events":[{"aid":5,"ts":-1,"type":"clicks"}],"session":"ä\"8"}"#,
        );
        let log = read(text, |_| ()).unwrap();
        let events = &log.interactions;
        assert_eq!(events.users, ["7", "ä\"8"]);
        assert_eq!(events.items, ["5", "6\t"]);
        assert_eq!((&events.user[..], &events.item[..]), (&[0, 0, 1][..], &[0, 1, 0][..]));
        assert_eq!(events.time, Some(vec![30, 2, -1]));
        assert_eq!(log.left_out, 1);
        let all = read(text, |source| source.keep.clear()).unwrap();
        assert_eq!((all.interactions.len(), all.left_out), (4, 0));
    }

    #[test]
    fn an_event_s_key_may_be_called_like_the_user_s() {
        let text = r#"{"id":"u","events":[{"id":"a"},{"id":"b"}]}"#;
        let log = read(text, |source| {
            source.keep.clear();
            (source.user, source.item, source.time) = (Some("id".into()), Some("id".into()), None);
        });
        let events = log.unwrap().interactions;
        assert_eq!((events.users, events.items), (vec!["u".into()], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        let good = r#"{"session":7,"events":[{"aid":5,"ts":30,"type":"clicks"}]}"#;
        for (line, expected) in [
            ("{\"session\":", "log.jsonl:2: this line is no JSON object: EOF"),
            ("[1]", "log.jsonl:2: this line is no JSON object: "),
            (r#"{"session":7}"#, "log.jsonl:2 has no column `events` (there are: session)"),
            (r#"{"sesion":7,"events":[]}"#, "log.jsonl:2 has no column `session`: did you mean"),
            (
                r#"{"session":7,"events":{}}"#,
                "log.jsonl:2: not readable as a user with a list of events: invalid type: map, \
                 expected a list of events",
            ),
            (
                r#"{"session":7,"events":[{"aid":[5],"ts":1,"type":"clicks"}]}"#,
                "log.jsonl:2: not readable as a user with a list of events: invalid type: \
                 sequence, expected text or a number",
            ),
            (
                r#"{"session":7,"events":[{"aid":5,"ts":1,"type":"clicks"},{"aidd":5,"ts":1,"type":"x"}]}"#,
                "log.jsonl:2: an event has no column `aid`: did you mean `aidd`? (there are: aidd",
            ),
            (
                r#"{"session":7,"events":[{"aid":null,"ts":1,"type":"clicks"}]}"#,
                "log.jsonl:2: an event's `aid` has no value",
            ),
            (
                r#"{"session":7,"events":[{"aid":5,"ts":"noon","type":"clicks"}]}"#,
                "log.jsonl:2: \"noon\" (column `ts`) is no time",
            ),
        ] {
            let said = read(&format!("{good}\n{line}\n{good}\n"), |_| ()).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{line}: {said}");
        }
        let said = read(good, |source| source.format = Some(Format::Csv)).unwrap_err().to_string();
        assert!(said.contains("is for the format json-lines only"), "{said}");
    }
}
