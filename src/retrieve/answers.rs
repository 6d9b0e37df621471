//! Recommendations as CSV, JSON lines or Parquet.
//!
//! CSV and Parquet have a row a recommendation (`user`, `rank` from 1, `item`, `score`), JSON lines
//! an object a user: `{"user": …, "items": [{"item": …, "score": …}, …]}`.

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
use crate::misuse;

/// Rows of a Parquet file's row group.
const GROUP: usize = 1 << 16;

/// A file of recommendations that is being written.
pub enum Answers {
    Csv(BufWriter<File>),
    JsonLines(BufWriter<File>),
    Parquet(Box<BatchedWriter<File>>, RowGroup),
}

/// Rows of a Parquet file that wait until there are [`GROUP`] of them.
#[derive(Default)]
pub struct RowGroup {
    users: Vec<String>,
    ranks: Vec<u32>,
    items: Vec<String>,
    scores: Vec<f32>,
}

impl RowGroup {
    fn frame(self) -> PolarsResult<DataFrame> {
        df!("user" => self.users, "rank" => self.ranks, "item" => self.items, "score" => self.scores)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    user: &'a str,
    items: Vec<Scored<'a>>,
}

#[derive(Serialize)]
struct Scored<'a> {
    item: &'a str,
    score: f32,
}

impl Answers {
    /// The format that a file's name tells.
    ///
    /// # Errors
    /// A name that tells none, or another than the three.
    pub fn format(path: &Path) -> Result<Format> {
        match Format::of(path)? {
            format @ (Format::Csv | Format::JsonLines | Format::Parquet) if !is_packed(path) => {
                Ok(format)
            }
            _ => misuse!(
                "{}: recommendations are written as .csv, .jsonl or .parquet",
                path.display()
            ),
        }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(path: &Path, format: Format) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(match format {
            Format::Csv => {
                let mut writer = BufWriter::new(file);
                writeln!(writer, "user,rank,item,score")?;
                Answers::Csv(writer)
            }
            Format::Parquet => {
                let schema = RowGroup::default().frame()?.schema().clone();
                let writer = ParquetWriter::new(file).batched(&schema)?;
                Answers::Parquet(Box::new(writer), RowGroup::default())
            }
            _ => Answers::JsonLines(BufWriter::new(file)),
        })
    }

    /// Writes what is recommended to a user: original ids and scores, the best first.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn write<'a>(
        &mut self,
        user: &str,
        items: impl Iterator<Item = (&'a str, f32)>,
    ) -> Result<()> {
        let ranked = (1u32..).zip(items);
        match self {
            Answers::Csv(writer) => {
                let user = quoted(user);
                for (rank, (item, score)) in ranked {
                    writeln!(writer, "{user},{rank},{},{score}", quoted(item))?;
                }
            }
            Answers::JsonLines(writer) => {
                let items = ranked.map(|(_, (item, score))| Scored { item, score }).collect();
                serde_json::to_writer(&mut *writer, &Line { user, items })?;
                writer.write_all(b"\n")?;
            }
            Answers::Parquet(writer, group) => {
                for (rank, (item, score)) in ranked {
                    group.users.push(user.into());
                    group.ranks.push(rank);
                    group.items.push(item.into());
                    group.scores.push(score);
                }
                if group.users.len() >= GROUP {
                    writer.write_batch(&std::mem::take(group).frame()?)?;
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
            Answers::Csv(mut writer) | Answers::JsonLines(mut writer) => writer.flush()?,
            Answers::Parquet(mut writer, group) => {
                if !group.users.is_empty() {
                    writer.write_batch(&group.frame()?)?;
                }
                writer.finish()?;
            }
        }
        Ok(())
    }
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
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
            let mut answers = Answers::create(&path, Answers::format(&path).unwrap()).unwrap();
            for user in 0..users {
                let items = [("a,\"b\"", 0.25), ("7", 0.1)].into_iter();
                answers.write(&format!("u{user}"), items).unwrap();
            }
            answers.write("nobody", [].into_iter()).unwrap();
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
}
