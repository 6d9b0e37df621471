//! Recommendations as CSV, JSON lines or Parquet.
//!
//! CSV and Parquet have a row a recommendation (`user`, `rank` from 1, `item`, `score`), JSON lines
//! an object a user: `{"user": …, "items": [{"item": …, "score": …}, …]}`. Where an answer may come
//! from a fallback, there is a column `fallback`, empty but for such answers, which alone have it in
//! JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use polars::df;
use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;
use serde::Serialize;

use super::csv::quoted;
use crate::data::Format;
use crate::files::{Sink, Why};
use crate::misuse;

/// Rows of a Parquet file's row group.
const GROUP: usize = 1 << 16;

/// A file of recommendations that is being written.
pub enum Answers {
    Csv(BufWriter<File>, WithFallback),
    JsonLines(BufWriter<File>),
    Parquet(Box<BatchedWriter<Sink>>, RowGroup, Why),
}

/// Whether there is a column `fallback`.
type WithFallback = bool;

/// Rows of a Parquet file that wait until there are [`GROUP`] of them.
#[derive(Default)]
pub struct RowGroup {
    users: Vec<String>,
    ranks: Vec<u32>,
    items: Vec<String>,
    scores: Vec<f32>,
    /// If there is such a column.
    fallbacks: Option<Vec<Option<&'static str>>>,
}

impl RowGroup {
    fn new(with_fallback: WithFallback) -> Self {
        Self { fallbacks: with_fallback.then(Vec::new), ..Self::default() }
    }

    /// The rows as a frame, of which none is left.
    fn take(&mut self) -> PolarsResult<DataFrame> {
        let new = Self::new(self.fallbacks.is_some());
        let Self { users, ranks, items, scores, fallbacks } = std::mem::replace(self, new);
        let mut frame = df!("user" => users, "rank" => ranks, "item" => items, "score" => scores)?;
        if let Some(fallbacks) = fallbacks {
            frame.with_column(Column::new("fallback".into(), fallbacks))?;
        }
        Ok(frame)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    user: &'a str,
    items: Vec<Scored<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'static str>,
}

#[derive(Serialize)]
struct Scored<'a> {
    item: &'a str,
    score: f32,
}

/// A line of JSON, without its end.
///
/// # Errors
/// Those of the format.
pub fn json_line<'a>(
    user: &str,
    fallback: Option<&'static str>,
    items: impl Iterator<Item = (&'a str, f32)>,
) -> Result<String> {
    let items = items.map(|(item, score)| Scored { item, score }).collect();
    Ok(serde_json::to_string(&Line { user, items, fallback })?)
}

impl Answers {
    /// The format that a file's name tells.
    ///
    /// # Errors
    /// A name that tells none, or another than the three.
    pub fn format(path: &Path) -> Result<Format> {
        match told_format(path) {
            Some(format) => Ok(format),
            None => misuse!(
                "{}: recommendations are written as .csv, .jsonl or .parquet",
                path.display()
            ),
        }
    }

    /// Begins a file, `with_fallback` one whose answers may come from a fallback.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(path: &Path, format: Format, with_fallback: WithFallback) -> Result<Self> {
        let file = || {
            let file = File::create(path);
            file.map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(match format {
            Format::Csv => {
                let mut writer = file()?;
                let more = if with_fallback { ",fallback" } else { "" };
                writeln!(writer, "user,rank,item,score{more}")?;
                Answers::Csv(writer, with_fallback)
            }
            Format::Parquet => {
                let mut group = RowGroup::new(with_fallback);
                let schema = group.take()?.schema().clone();
                let (sink, why) = Sink::create(path)?;
                let writer = ParquetWriter::new(sink).batched(&schema);
                Answers::Parquet(Box::new(writer.map_err(|error| why.of(error))?), group, why)
            }
            _ => Answers::JsonLines(file()?),
        })
    }

    /// Writes what is recommended to a user: original ids and scores, the best first; and what it is
    /// recommended by, if by a fallback.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn write<'a>(
        &mut self,
        user: &str,
        fallback: Option<&'static str>,
        items: impl Iterator<Item = (&'a str, f32)>,
    ) -> Result<()> {
        let ranked = (1u32..).zip(items);
        match self {
            Answers::Csv(writer, with_fallback) => {
                let user = quoted(user);
                for (rank, (item, score)) in ranked {
                    write!(writer, "{user},{rank},{},{score}", quoted(item))?;
                    if *with_fallback {
                        write!(writer, ",{}", fallback.unwrap_or_default())?;
                    }
                    writeln!(writer)?;
                }
            }
            Answers::JsonLines(writer) => {
                let items = ranked.map(|(_, item)| item);
                writeln!(writer, "{}", json_line(user, fallback, items)?)?;
            }
            Answers::Parquet(writer, group, why) => {
                for (rank, (item, score)) in ranked {
                    group.users.push(user.into());
                    group.ranks.push(rank);
                    group.items.push(item.into());
                    group.scores.push(score);
                    group.fallbacks.iter_mut().for_each(|all| all.push(fallback));
                }
                if group.users.len() >= GROUP {
                    writer.write_batch(&group.take()?).map_err(|error| why.of(error))?;
                }
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn finish(self) -> Result<()> {
        match self {
            Answers::Csv(mut writer, _) | Answers::JsonLines(mut writer) => writer.flush()?,
            Answers::Parquet(mut writer, mut group, why) => {
                if !group.users.is_empty() {
                    writer.write_batch(&group.take()?).map_err(|error| why.of(error))?;
                }
                writer.finish().map_err(|error| why.of(error))?;
            }
        }
        Ok(())
    }
}

/// The format that a file's name tells, if it is one of the three and not packed.
pub(super) fn told_format(path: &Path) -> Option<Format> {
    let is_packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let three = |format: &Format| {
        matches!(format, Format::Csv | Format::JsonLines | Format::Parquet) && !is_packed
    };
    Format::of(path).ok().filter(three)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn all_formats_hold_the_same_recommendations() {
        let dir = tempfile::tempdir().unwrap();
        let users = GROUP / 2 + 3;
        let write = |name: &str, users: usize| {
            let path = dir.path().join(name);
            let mut answers =
                Answers::create(&path, Answers::format(&path).unwrap(), false).unwrap();
            for user in 0..users {
                let items = [("a,\"b\"", 0.25), ("7", 0.1)].into_iter();
                answers.write(&format!("u{user}"), None, items).unwrap();
            }
            answers.write("nobody", None, [].into_iter()).unwrap();
            answers.finish().unwrap();
            path
        };
        let text = fs::read_to_string(write("a.csv", 1)).unwrap();
        assert_eq!(text, "user,rank,item,score\nu0,1,\"a,\"\"b\"\"\",0.25\nu0,2,7,0.1\n");
        let text = fs::read_to_string(write("a.jsonl", 1)).unwrap();
        let first =
            r#"{"user":"u0","items":[{"item":"a,\"b\"","score":0.25},{"item":"7","score":0.1}]}"#;
        assert_eq!(text, format!("{first}\n{{\"user\":\"nobody\",\"items\":[]}}\n"));
        let file = File::open(write("a.parquet", users)).unwrap();
        let frame = ParquetReader::new(file).finish().unwrap();
        assert_eq!(frame.height(), 2 * users);
        assert_eq!(
            frame.column("user").unwrap().str().unwrap().get(2 * users - 1),
            Some(&*format!("u{}", users - 1))
        );
        assert_eq!(frame.column("rank").unwrap().u32().unwrap().get(3), Some(2));
        assert_eq!(frame.column("score").unwrap().f32().unwrap().get(3), Some(0.1));
        assert!(Answers::format(Path::new("a.csv.gz")).is_err());
        assert!(Answers::format(Path::new("a.tsv")).is_err());
    }

    #[test]
    fn all_formats_tell_a_fallback() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            let format = Answers::format(&path).unwrap();
            let mut answers = Answers::create(&path, format, true).unwrap();
            answers.write("u", None, [("a", 0.5)].into_iter()).unwrap();
            answers.write("v", Some("popularity"), [("b", 3.0)].into_iter()).unwrap();
            answers.finish().unwrap();
            path
        };
        let text = fs::read_to_string(write("a.csv")).unwrap();
        assert_eq!(text, "user,rank,item,score,fallback\nu,1,a,0.5,\nv,1,b,3,popularity\n");
        let text = fs::read_to_string(write("a.jsonl")).unwrap();
        let second = r#"{"user":"v","items":[{"item":"b","score":3.0}],"fallback":"popularity"}"#;
        assert_eq!(
            text,
            format!("{{\"user\":\"u\",\"items\":[{{\"item\":\"a\",\"score\":0.5}}]}}\n{second}\n")
        );
        let frame = ParquetReader::new(File::open(write("a.parquet")).unwrap()).finish().unwrap();
        let fallbacks: Vec<Option<&str>> =
            frame.column("fallback").unwrap().str().unwrap().iter().collect();
        assert_eq!(fallbacks, [None, Some("popularity")]);
    }
}
