//! The first rows of a log, before anybody has said how it is written.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use polars::prelude::*;
use serde_json::Value;

use super::Format;
use super::input::{Input, nothing_in};
use super::parquet::{is_float, is_text, is_whole};
use crate::data::parquet::Parquet;
use crate::misuse;

/// Bytes of text that are looked at.
const SAMPLE: usize = 1 << 20;

/// Rows that are looked at.
const ROWS: usize = 2_000;

/// What may separate columns.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// What the first rows of a log look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub format: Format,
    /// Of CSV and TSV, where it is not the usual one.
    pub separator: Option<char>,
    /// Each column by name with its first values, as text, empty ones where there are none; none for
    /// formats that have no columns.
    pub columns: Vec<(String, Vec<String>)>,
}

/// Looks at the first rows of the log at `path`: how it is written is told by its name, else by what
/// stands in it.
///
/// # Errors
/// A file that is missing, empty, cut off or of none of the formats.
pub fn look(path: &Path) -> Result<Look> {
    let named = Format::of(path).ok();
    if named == Some(Format::Parquet) {
        return of_parquet(path);
    }
    let mut input = Input::open(path)?;
    let mut sample = vec![];
    let read = input.read_into(&mut sample, SAMPLE)?;
    if read == SAMPLE {
        // The last line may go on.
        let end = sample.iter().rposition(|byte| *byte == b'\n').map_or(read, |end| end + 1);
        sample.truncate(end);
    }
    let Ok(text) = String::from_utf8(sample) else {
        misuse!("{} is not UTF-8 text: convert it, for example with iconv", path.display());
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(ROWS).collect();
    let Some(first) = lines.first() else { return Err(nothing_in(path)) };
    match named {
        Some(Format::JsonLines) => of_json(path, &lines),
        None if first.starts_with('{') => of_json(path, &lines),
        None if first.bytes().all(|byte| !SEPARATORS.contains(&byte)) => Ok(of_blanks(&lines)),
        _ => of_delimited(path, named, &text),
    }
}

fn of_blanks(lines: &[&str]) -> Look {
    let is_pair = |line: &&str| line.split_whitespace().count() == 2;
    let format = match lines.iter().all(is_pair) {
        true => Format::UserItem,
        false => Format::Sequences,
    };
    Look { format, separator: None, columns: vec![] }
}

fn of_json(path: &Path, lines: &[&str]) -> Result<Look> {
    let mut columns: Vec<(String, Vec<String>)> = vec![];
    for (row, line) in lines.iter().enumerate() {
        let Ok(Value::Object(object)) = serde_json::from_str(line) else {
            misuse!("{}:{}: not one JSON object a line", path.display(), row + 1);
        };
        for (key, value) in object {
            let text = match value {
                Value::String(text) => text,
                Value::Null => String::new(),
                other => other.to_string(),
            };
            let place = columns.iter().position(|(name, _)| *name == key).unwrap_or_else(|| {
                columns.push((key, vec![]));
                columns.len() - 1
            });
            columns[place].1.resize(row, String::new());
            columns[place].1.push(text);
        }
    }
    columns.iter_mut().for_each(|(_, values)| values.resize(lines.len(), String::new()));
    Ok(Look { format: Format::JsonLines, separator: None, columns })
}

fn of_delimited(path: &Path, named: Option<Format>, text: &str) -> Result<Look> {
    let head = text.lines().next().unwrap_or_default();
    let count = |separator: &u8| head.bytes().filter(|byte| byte == separator).count();
    let most = SEPARATORS.into_iter().rev().max_by_key(count).unwrap_or(b',');
    let format = match (named, most) {
        (Some(format), _) => format,
        (None, b'\t') => Format::Tsv,
        (None, _) => Format::Csv,
    };
    let usual = if format == Format::Tsv { b'\t' } else { b',' };
    let parsing = CsvParseOptions::default()
        .with_separator(most)
        .with_quote_char((format == Format::Csv).then_some(b'"'));
    let frame = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .with_n_rows(Some(ROWS))
        .with_parse_options(parsing)
        .into_reader_with_file_handle(std::io::Cursor::new(text.as_bytes()))
        .finish()
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let separator = (most != usual && count(&most) > 0).then_some(char::from(most));
    Ok(Look { format, separator, columns: columns(&frame)? })
}

fn of_parquet(path: &Path) -> Result<Look> {
    let mut parquet = Parquet::<File>::open(path)?;
    let readable = |column: &String| {
        let kind = parquet.kind(column);
        kind.is_some_and(|kind| is_text(kind) || is_whole(kind) || is_float(kind))
    };
    let names: Vec<String> = parquet.columns().into_iter().filter(readable).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen = vec![];
    let read = parquet.frames(&names, |frame| {
        seen = columns(&frame.head(Some(ROWS)))?;
        bail!("one row group is enough")
    });
    if seen.is_empty() {
        read?;
    }
    Ok(Look { format: Format::Parquet, separator: None, columns: seen })
}

fn columns(frame: &DataFrame) -> Result<Vec<(String, Vec<String>)>> {
    let of = |column: &Column| {
        let texts = column.cast(&DataType::String)?;
        let texts = texts.str()?.iter().map(|text| text.unwrap_or_default().to_owned());
        Ok((column.name().to_string(), texts.collect()))
    };
    frame.columns().iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &[u8]) -> Result<Look> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        look(&path)
    }

    fn column(look: &Look, name: &str) -> Vec<String> {
        look.columns.iter().find(|(own, _)| own == name).unwrap().1.clone()
    }

    #[test]
    fn tables_are_told_by_what_separates_their_columns() {
        let comma = of("log.csv", b"user,item\n1,\"a;b\"\n2,\n").unwrap();
        assert_eq!((comma.format, comma.separator), (Format::Csv, None));
        assert_eq!(column(&comma, "item"), ["a;b", ""]);
        let semicolon = of("log.csv", b"user;item\n1;a\n").unwrap();
        assert_eq!((semicolon.format, semicolon.separator), (Format::Csv, Some(';')));
        let tab = of("log.dat", b"user\titem\n1\ta\n").unwrap();
        assert_eq!((tab.format, tab.separator), (Format::Tsv, None));
        assert_eq!(column(&tab, "user"), ["1"]);
    }

    #[test]
    fn lines_of_blanks_and_of_objects_are_told_apart() {
        assert_eq!(of("log.txt", b"1 5\n1 6\n2 5\n").unwrap().format, Format::UserItem);
        assert_eq!(of("log.txt", b"5 6 7\n5\n").unwrap().format, Format::Sequences);
        let objects = of("log.txt", b"{\"u\": 1}\n{\"u\": \"x\", \"t\": [2]}\n").unwrap();
        assert_eq!(objects.format, Format::JsonLines);
        assert_eq!(column(&objects, "u"), ["1", "x"]);
        assert_eq!(column(&objects, "t"), ["", "[2]"]);
    }

    #[test]
    fn parquet_is_looked_at_by_its_first_row_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        let users: Vec<i64> = (0..3_000).collect();
        let items: Vec<String> = users.iter().map(|user| format!("i{user}")).collect();
        let user = Column::new("user".into(), users);
        let mut frame =
            DataFrame::new(3_000, vec![user, Column::new("item".into(), items)]).unwrap();
        ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
        let look = look(&path).unwrap();
        assert_eq!(look.format, Format::Parquet);
        assert_eq!(column(&look, "item")[..2], ["i0", "i1"]);
        assert_eq!(column(&look, "user").len(), ROWS);
    }

    #[test]
    fn what_is_no_log_is_refused() {
        for (name, text, word) in [
            ("log.csv", &b""[..], "log.csv"),
            ("log.csv", b"\xff\xfe,a\n", "UTF-8"),
            ("log.jsonl", b"[1]\n", "log.jsonl:1"),
            ("log.parquet", b"PAR1", "log.parquet"),
        ] {
            let error = format!("{:#}", of(name, text).unwrap_err());
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
