//! Reads raw logs: one file a family of formats, all into [`Interactions`].

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::archive::{on_disk, refuse_whole};
use super::interactions::{Builder, Interactions};
use super::records::{AskedField, Records};
use crate::misuse;

mod blocks;
mod columns;
mod delimited;
mod events;
mod input;
mod json;
mod look;
mod objects;
mod parquet;
mod plain;
pub(super) mod records;
pub(crate) mod time;
mod told_by_log;
mod worker;

use columns::Reader;
pub use input::SourceFile;
pub use look::{Look, Sample, look};
use told_by_log::ToldByLog;
use worker::{Kept, Wanted};

/// How a log is written; [`Format::about`] says what each is. All may be gzipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Csv,
    Tsv,
    Parquet,
    JsonLines,
    UserItem,
    Sequences,
}

impl Format {
    /// Every format, in the order of help.
    pub const ALL: [Format; 6] = [
        Format::Csv,
        Format::Tsv,
        Format::Parquet,
        Format::JsonLines,
        Format::UserItem,
        Format::Sequences,
    ];

    /// The name in descriptions and options.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Parquet => "parquet",
            Format::JsonLines => "json-lines",
            Format::UserItem => "user-item",
            Format::Sequences => "sequences",
        }
    }

    /// What it is, for help.
    pub fn about(self) -> &'static str {
        match self {
            Format::Csv => "Comma-separated values, double quotes around what holds commas",
            Format::Tsv => "Tab-separated values, no quotes",
            Format::Parquet => "Apache Parquet",
            Format::JsonLines => "One JSON object a line",
            Format::UserItem => "`user item` a line, in order of time, separated by blanks",
            Format::Sequences => "One user a line: item ids separated by blanks, oldest first",
        }
    }

    /// The format that a file's name tells.
    ///
    /// # Errors
    /// A name that tells none.
    pub fn of(path: &Path) -> Result<Format> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        Ok(match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => Format::Csv,
            Some("tsv") => Format::Tsv,
            Some("parquet") => Format::Parquet,
            Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
            _ => misuse!(
                "the name {} does not tell the format (.csv .tsv .parquet .jsonl .ndjson .json): \
                 give it as csv, tsv, parquet, json-lines, user-item or sequences",
                path.display()
            ),
        })
    }

    fn has_columns(self) -> bool {
        !matches!(self, Format::UserItem | Format::Sequences)
    }
}

/// Where a log lies and how it is read: `[source]` of a description.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Read one after another; relative to the folder that the program runs in. `a.zip/b.csv` is
    /// the member `b.csv` of a zip archive.
    pub files: Vec<PathBuf>,
    /// Read after `files`: their users are the test part of a given split.
    pub test_files: Vec<PathBuf>,
    /// Told by each file's name if not given.
    pub format: Option<Format>,
    /// The name of the users' column; without a header, columns are named "1", "2", …
    pub user: Option<String>,
    /// The name of the items' column.
    pub item: Option<String>,
    /// The name of the times' column; without it the order of the log is the order of time.
    pub time: Option<String>,
    /// The name of the column that tells the day, where `time` counts within a user only.
    pub day: Option<String>,
    /// In JSON lines: the key of a list of events. `user` is then a key of the line's object, all
    /// other columns are keys of each event.
    pub events: Option<String>,
    /// One byte; `,` for CSV and tab for TSV if not given.
    pub separator: Option<char>,
    /// Whether the first line of a CSV or TSV file names the columns.
    pub header: bool,
    /// Column → values: an event counts only if each of these columns has one of its values.
    pub keep: BTreeMap<String, Vec<String>>,
}

impl Default for Source {
    fn default() -> Source {
        Source {
            files: Vec::new(),
            test_files: Vec::new(),
            format: None,
            user: None,
            item: None,
            time: None,
            day: None,
            events: None,
            separator: None,
            header: true,
            keep: BTreeMap::new(),
        }
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub interactions: Interactions,
    pub files: Vec<SourceFile>,
    /// Events that `keep` left out.
    pub left_out: u64,
}

impl Source {
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().chain(&self.test_files)
    }

    /// The bytes on disk that [`Source::read`] will go through.
    ///
    /// # Errors
    /// A file that is not there, or is given twice.
    pub fn size(&self) -> Result<u64> {
        let (mut size, mut seen) = (0, HashSet::new());
        for path in self.paths() {
            refuse_whole(path)?;
            let disk = on_disk(path);
            let member = path.strip_prefix(disk).unwrap_or(Path::new(""));
            if !seen.insert((fs::canonicalize(disk).unwrap_or_else(|_| disk.into()), member)) {
                misuse!("{} is given twice: its interactions would count twice", path.display());
            }
            match disk.metadata() {
                Ok(data) if data.is_file() => size += data.len(),
                Ok(_) => misuse!("{} is not a file", path.display()),
                Err(_) => misuse!("there is no file {}", path.display()),
            }
        }
        Ok(size)
    }

    /// Reads all files. `progress` is told the bytes on disk that have been gone through.
    ///
    /// # Errors
    /// Whatever is wrong with a file, in one sentence that names the file and, where there is one,
    /// the line: a missing file or column, an empty id, a time that is none, a line with too few
    /// or too many fields, text that is not UTF-8, gzip data cut off, no interactions at all, a user
    /// in both training and test files.
    pub fn read(&self, progress: &mut dyn FnMut(u64)) -> Result<Log> {
        Ok(self.read_told([&[], &[]], progress)?.0)
    }

    /// [`Source::read`], and what columns of the log tell of users and of items. The first cell of a
    /// user or an item that is not empty counts.
    ///
    /// # Errors
    /// Those of [`Source::read`]; a cell that is no value of its field's kind.
    pub(super) fn read_told(
        &self,
        [of_users, of_items]: [&[AskedField]; 2],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Log, [Records; 2])> {
        if self.files.is_empty() {
            misuse!("no input file is given");
        }
        self.size()?;
        let formats: Vec<Format> = self
            .paths()
            .map(|path| self.format.map_or_else(|| Format::of(path), Ok))
            .collect::<Result<_>>()?;
        for format in &formats {
            self.check(*format)?;
            if let (false, Some(field)) =
                (format.has_columns(), of_users.iter().chain(of_items).next())
            {
                misuse!(
                    "the formats user-item and sequences have no column that could tell the field \
                     `{}`: give a file that does, with --items or --users",
                    field.name
                );
            }
        }
        let mut reader = Reader {
            wanted: Wanted {
                user: self.user.as_deref().unwrap_or_default(),
                item: self.item.as_deref().unwrap_or_default(),
                time: self.time.as_deref(),
                day: self.day.as_deref(),
                keep: self
                    .keep
                    .iter()
                    .map(|(column, values)| (column.as_str(), Kept::new(values)))
                    .collect(),
            },
            told: ToldByLog::new(of_users, of_items),
            header: self.header,
            builder: Builder::default(),
            dates: None,
            left_out: 0,
            progress,
            done: 0,
        };
        let mut files: Vec<SourceFile> = Vec::new();
        // In the format `sequences` a user's name is a line's number, counted over all files.
        let mut lines = 0;
        for (number, (path, format)) in self.paths().zip(formats).enumerate() {
            if number == self.files.len() {
                reader.builder.begin_test();
            }
            let before = reader.seen();
            let file = match format {
                Format::Csv => delimited::read(&mut reader, path, self.byte(b',')?, Some(b'"')),
                Format::Tsv => delimited::read(&mut reader, path, self.byte(b'\t')?, None),
                Format::JsonLines => match &self.events {
                    Some(list) => events::read(&mut reader, path, list),
                    None => json::read(&mut reader, path),
                },
                Format::Parquet => parquet::read(&mut reader, path),
                Format::UserItem => plain::read_pairs(&mut reader, path),
                Format::Sequences => plain::read_sequences(&mut reader, path, &mut lines),
            }?;
            if reader.seen() == before {
                return Err(input::nothing_in(path));
            }
            reader.done += file.size;
            (reader.progress)(reader.done);
            files.push(file);
        }
        let interactions = reader.builder.finish()?;
        let told = reader.told.finish(&interactions.users, &interactions.items)?;
        Ok((Log { left_out: reader.left_out, interactions, files }, told))
    }

    fn check(&self, format: Format) -> Result<()> {
        let named =
            [("user", &self.user), ("item", &self.item), ("time", &self.time), ("day", &self.day)];
        if let (Some(list), true) = (&self.events, format != Format::JsonLines) {
            misuse!("the list of events (events = \"{list}\") is for the format json-lines only");
        }
        if format.has_columns() {
            for (role, column) in &named[..2] {
                if column.is_none() {
                    misuse!("the column that holds the {role} ids is not given ({role})");
                }
            }
            return Ok(());
        }
        let given = named.iter().find(|(_, column)| column.is_some()).map(|(role, _)| *role);
        let given = given.or(if self.keep.is_empty() { None } else { Some("keep") });
        if let Some(given) = given {
            misuse!("the formats user-item and sequences have no columns: leave `{given}` out");
        }
        Ok(())
    }

    fn byte(&self, usual: u8) -> Result<u8> {
        match self.separator {
            None => Ok(usual),
            Some(c) if c.is_ascii() && !matches!(c, '"' | '\n' | '\r') => Ok(c as u8),
            Some(c) => misuse!("{c:?} cannot separate columns: give one ASCII character"),
        }
    }
}

#[cfg(test)]
mod any_text_tests;

#[cfg(test)]
mod tests;
