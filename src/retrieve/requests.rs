//! Files of histories to recommend for, read in blocks: CSV, JSON lines, Parquet.
//!
//! A row has a `history`, oldest first, and may have a `user`, which is only carried along. In CSV a
//! history is item ids separated by blanks; in JSON lines a list of texts or whole numbers; in
//! Parquet either. A line of JSON may have lists `allow` and `deny`, and `fields` of the user, too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use polars::prelude::*;
use serde::Deserialize;

use super::answers::told_format;
use super::csv;
use super::id::Id;
use super::json;
use super::user_fields::UserFields;
use crate::data::parquet::Parquet;
use crate::data::{Format, Schema};
use crate::error::short;
use crate::misuse;

/// Rows of a block.
const BLOCK: usize = 4096;

/// The longest line of JSON, in bytes.
const LINE: u64 = 16 << 20;

const USER: &str = "user";
const HISTORY: &str = "history";

/// A row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Line of the file, or row of a Parquet file, from 1.
    pub line: u64,
    /// Who it is for; without a `user`, the number of the row from 1.
    pub user: String,
    /// Original item ids.
    pub history: Vec<String>,
    /// Original ids of the only items that may be recommended.
    pub allow: Option<Vec<String>>,
    /// Original ids of items that may not be.
    pub deny: Option<Vec<String>>,
    /// What is known of the user besides the history.
    pub fields: Option<UserFields>,
}

impl Request {
    /// The codes of its fields by those that a model reads of users; without fields none.
    ///
    /// # Errors
    /// Those of [`UserFields::codes`].
    pub fn codes(&self, schema: Option<&Schema>) -> Result<Vec<u32>> {
        self.fields.as_ref().map_or(Ok(vec![]), |fields| fields.codes(schema))
    }
}

/// A file to be read.
pub struct Requests {
    path: PathBuf,
    format: Format,
    /// In bytes.
    pub size: u64,
}

/// Takes a block of rows, and how many bytes of the file are done.
type Take<'a> = &'a mut dyn FnMut(Vec<Request>, u64) -> Result<()>;

impl Requests {
    /// A file whose name tells its format.
    ///
    /// # Errors
    /// No such file; a name that tells no format, or another than the three.
    pub fn open(path: &Path) -> Result<Self> {
        let Some(format) = told_format(path) else {
            misuse!("{}: histories are read from .csv, .jsonl and .parquet", path.display());
        };
        match path.metadata() {
            Ok(about) if about.is_file() => {
                Ok(Self { path: path.into(), format, size: about.len() })
            }
            Ok(_) => misuse!("{} is not a file", path.display()),
            Err(_) => misuse!("there is no file {}", path.display()),
        }
    }

    /// Gives `take` block after block; memory is bounded by a block (Parquet: by a row group).
    ///
    /// # Errors
    /// Names the file and the line that cannot be understood; those of `take`.
    pub fn read(&self, take: Take) -> Result<()> {
        match self.format {
            Format::Csv => self.read_csv(take),
            Format::JsonLines => self.read_json(take),
            _ => self.read_parquet(take),
        }
    }

    fn file(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))
    }

    fn at(&self, line: u64) -> String {
        format!("{}:{line}", self.path.display())
    }

    fn no_history(&self, columns: &[String]) -> anyhow::Error {
        anyhow!(
            "{} has no column `{HISTORY}` (there are: {})",
            self.path.display(),
            short(&columns.join(", "))
        )
    }

    fn read_csv(&self, take: Take) -> Result<()> {
        let mut reader = csv::Reader::new(BufReader::new(self.file()?));
        let header = reader.next().with_context(|| self.at(1))?.unwrap_or_default().1;
        let place = |name| header.iter().position(|column| column == name);
        let (user, Some(history)) = (place(USER), place(HISTORY)) else {
            return Err(self.no_history(&header));
        };
        for name in [USER, HISTORY] {
            if header.iter().filter(|column| *column == name).count() > 1 {
                misuse!(
                    "{} has two columns `{name}`: give one of them another name",
                    self.path.display()
                );
            }
        }
        let mut block = Block::new(take);
        loop {
            let line = reader.line;
            let Some((line, mut fields)) = reader.next().with_context(|| self.at(line))? else {
                return block.end(self.size);
            };
            let (found, wanted) = (fields.len(), header.len());
            ensure!(
                found == wanted,
                "{}: {found} fields where {wanted} are expected",
                self.at(line)
            );
            let history = fields[history].split_whitespace().map(String::from).collect();
            let user = user.map(|user| std::mem::take(&mut fields[user]));
            block.push(line, Row { user, history, ..Row::default() }, reader.done)?;
        }
    }

    fn read_json(&self, take: Take) -> Result<()> {
        let mut reader = BufReader::new(self.file()?);
        let mut block = Block::new(take);
        let (mut text, mut line, mut done) = (vec![], 0, 0);
        loop {
            text.clear();
            line += 1;
            let read = reader.by_ref().take(LINE).read_until(b'\n', &mut text);
            let read = read.with_context(|| self.at(line))? as u64;
            if read == 0 {
                return block.end(self.size);
            }
            ensure!(read < LINE, "{}: this line is over {LINE} bytes long", self.at(line));
            done += read;
            if text.trim_ascii().is_empty() {
                continue;
            }
            ensure!(
                !json::is_array(&text),
                "{}: this line is no request: an array, where an object with a history is expected",
                self.at(line)
            );
            let row: JsonRow = json::parse(&text)
                .map_err(|error| anyhow!("{}: this line is no request: {error}", self.at(line)))?;
            block.push(line, row.into(), done)?;
        }
    }

    fn read_parquet(&self, take: Take) -> Result<()> {
        let mut parquet = Parquet::open(&self.path)?;
        if parquet.kind(HISTORY).is_none() {
            return Err(self.no_history(&parquet.columns()));
        }
        let mut names = vec![HISTORY];
        names.extend(parquet.kind(USER).map(|_| USER));
        for name in &names {
            // polars, as it is built here, cannot read all that Parquet can hold.
            let kind = parquet.kind(name);
            if !kind.is_some_and(|kind| is_id(kind) || (*name == HISTORY && is_ids(kind))) {
                bail!(
                    "{}: the column `{name}` is of the type {kind:?}: write it as text or whole \
                     numbers of 32 or 64 bits{}",
                    self.path.display(),
                    if *name == HISTORY { ", or lists of them" } else { "" }
                );
            }
        }
        let (rows, mut line) = (parquet.rows().max(1) as f64, 0);
        let mut block = Block::new(take);
        parquet.frames(&names, |frame| {
            let users = match names.contains(&USER) {
                true => Some(frame.column(USER)?.cast(&DataType::String)?),
                false => None,
            };
            let histories = frame.column(HISTORY)?;
            for row in 0..frame.height() {
                line += 1;
                let user = match &users {
                    Some(users) => users.str()?.get(row).map(String::from),
                    None => None,
                };
                let done = (self.size as f64 * line as f64 / rows) as u64;
                let history = history(histories, row)?;
                block.push(line, Row { user, history, ..Row::default() }, done)?;
            }
            Ok(())
        })?;
        block.end(self.size)
    }
}

/// What a row holds.
#[derive(Default)]
struct Row {
    user: Option<String>,
    history: Vec<String>,
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    fields: Option<UserFields>,
}

/// Rows that wait until there is a block of them.
struct Block<'a> {
    rows: Vec<Request>,
    count: u64,
    take: Take<'a>,
}

impl<'a> Block<'a> {
    fn new(take: Take<'a>) -> Self {
        Self { rows: vec![], count: 0, take }
    }

    fn push(&mut self, line: u64, row: Row, done: u64) -> Result<()> {
        self.count += 1;
        let user = row.user.unwrap_or_else(|| self.count.to_string());
        let Row { history, allow, deny, fields, .. } = row;
        self.rows.push(Request { line, user, history, allow, deny, fields });
        if self.rows.len() < BLOCK {
            return Ok(());
        }
        (self.take)(std::mem::take(&mut self.rows), done)
    }

    fn end(self, size: u64) -> Result<()> {
        if self.rows.is_empty() { Ok(()) } else { (self.take)(self.rows, size) }
    }
}

/// A line of JSON; what else it holds is passed over.
#[derive(Deserialize)]
#[serde(expecting = "an object with a history")]
struct JsonRow {
    user: Option<Id>,
    history: Vec<Id>,
    allow: Option<Vec<Id>>,
    deny: Option<Vec<Id>>,
    fields: Option<UserFields>,
}

impl From<JsonRow> for Row {
    fn from(row: JsonRow) -> Self {
        let texts = |ids: Vec<Id>| ids.into_iter().map(|id| id.0).collect();
        Self {
            user: row.user.map(|id| id.0),
            history: texts(row.history),
            allow: row.allow.map(texts),
            deny: row.deny.map(texts),
            fields: row.fields,
        }
    }
}

/// A cell of the history column: a text of ids separated by blanks, one id, or a list of ids.
fn history(column: &Column, row: usize) -> Result<Vec<String>> {
    let ids = match column.dtype() {
        DataType::List(_) => match column.list()?.get_as_series(row) {
            Some(list) => list.cast(&DataType::String)?,
            None => return Ok(vec![]),
        },
        _ => column.as_materialized_series().slice(row as i64, 1).cast(&DataType::String)?,
    };
    let ids = ids.str()?.iter().flatten();
    Ok(match column.dtype() {
        DataType::List(_) => ids.map(String::from).collect(),
        _ => ids.flat_map(str::split_whitespace).map(String::from).collect(),
    })
}

fn is_id(kind: &ArrowDataType) -> bool {
    use ArrowDataType::{Int32, Int64, LargeUtf8, UInt32, UInt64, Utf8, Utf8View};
    matches!(kind, Utf8 | LargeUtf8 | Utf8View | Int32 | Int64 | UInt32 | UInt64)
}

fn is_ids(kind: &ArrowDataType) -> bool {
    use ArrowDataType::{LargeList, List};
    matches!(kind, List(field) | LargeList(field) if is_id(&field.dtype))
}

#[cfg(test)]
mod tests;
