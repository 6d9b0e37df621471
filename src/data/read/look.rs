//! The first rows of a log, before anybody has said how it is written.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use polars::prelude::*;
use serde_json::{Map, Value};

use super::Format;
use super::input::{Input, nothing_in};
use super::parquet::{is_float, is_text, is_whole};
use crate::data::parquet::Parquet;
use crate::data::parse_time;
use crate::misuse;

/// Bytes of text that are looked at.
const SAMPLE: usize = 1 << 20;

/// Rows that are looked at.
const ROWS: usize = 2_000;

/// What may separate columns.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// A column by its name, or number, with its first values, as text, empty ones where there are none.
pub type Sample = (String, Vec<String>);

/// What the first rows of a log look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub format: Format,
    /// Of CSV and TSV, where it is not the usual one.
    pub separator: Option<char>,
    /// Whether the first line of CSV and TSV names the columns; if not, they are called 1, 2, and so on.
    pub header: bool,
    /// None for formats that have no columns.
    pub columns: Vec<Sample>,
    /// Of JSON lines the keys of lists of objects, with the keys of these.
    pub lists: Vec<(String, Vec<Sample>)>,
    /// Columns of Parquet of types that are not read, and these types.
    pub unread: Vec<(String, String)>,
}

impl Look {
    fn of(format: Format, columns: Vec<Sample>) -> Self {
        Self { format, separator: None, header: true, columns, lists: vec![], unread: vec![] }
    }
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
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let numbered = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let lines: Vec<(usize, &str)> = numbered.take(ROWS).collect();
    let Some((_, first)) = lines.first() else { return Err(nothing_in(path)) };
    match named {
        Some(Format::JsonLines) => of_json(path, &lines),
        None if first.starts_with('{') => of_json(path, &lines),
        None if first.bytes().all(|byte| !SEPARATORS.contains(&byte)) => Ok(of_blanks(&lines)),
        // Blank lines before the first are none of a table.
        _ => of_delimited(path, named, &text[text.find(first).unwrap_or_default()..]),
    }
}

fn of_blanks(lines: &[(usize, &str)]) -> Look {
    let is_pair = |(_, line): &(usize, &str)| line.split_whitespace().count() == 2;
    let format = match lines.iter().all(is_pair) {
        true => Format::UserItem,
        false => Format::Sequences,
    };
    Look::of(format, vec![])
}

fn of_json(path: &Path, lines: &[(usize, &str)]) -> Result<Look> {
    let mut columns = Objects::default();
    let mut lists: Vec<(String, Objects)> = vec![];
    for (number, line) in lines {
        let Ok(Value::Object(object)) = serde_json::from_str(line) else {
            misuse!("{}:{number}: not one JSON object a line", path.display());
        };
        for (key, value) in &object {
            let Value::Array(values) = value else { continue };
            for event in values.iter().filter_map(Value::as_object) {
                let place = lists.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                    lists.push((key.clone(), Objects::default()));
                    lists.len() - 1
                });
                lists[place].1.take(event);
            }
        }
        columns.take(&object);
    }
    let lists = lists.into_iter().map(|(key, events)| (key, events.columns())).collect();
    Ok(Look { lists, ..Look::of(Format::JsonLines, columns.columns()) })
}

/// Columns of objects, which need not all have the same keys.
#[derive(Default)]
struct Objects {
    columns: Vec<Sample>,
    rows: usize,
}

impl Objects {
    fn take(&mut self, object: &Map<String, Value>) {
        for (key, value) in object {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            let columns = &mut self.columns;
            let place = columns.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                columns.push((key.clone(), vec![]));
                columns.len() - 1
            });
            columns[place].1.resize(self.rows, String::new());
            columns[place].1.push(text);
        }
        self.rows += 1;
    }

    fn columns(mut self) -> Vec<Sample> {
        self.columns.iter_mut().for_each(|(_, values)| values.resize(self.rows, String::new()));
        self.columns
    }
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
        .with_has_header(false)
        .with_infer_schema_length(Some(0))
        .with_n_rows(Some(ROWS))
        .with_parse_options(parsing)
        .into_reader_with_file_handle(std::io::Cursor::new(text.as_bytes()))
        .finish()
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let mut columns = columns(&frame)?;
    let header = is_header(&columns);
    for (number, (name, values)) in columns.iter_mut().enumerate() {
        *name = if header { values.remove(0) } else { (number + 1).to_string() };
    }
    let separator = (most != usual && count(&most) > 0).then_some(char::from(most));
    Ok(Look { separator, header, ..Look::of(format, columns) })
}

/// Whether the first values name their columns: a name is neither a number nor a date, and none of
/// the values below it.
fn is_header(columns: &[Sample]) -> bool {
    columns.iter().all(|(_, values)| match values.split_first() {
        Some((name, below)) => {
            parse_time(name).is_none() && (name.is_empty() || !below.contains(name))
        }
        None => true,
    })
}

fn of_parquet(path: &Path) -> Result<Look> {
    let mut parquet = Parquet::<File>::open(path)?;
    let readable = |column: &String| {
        let kind = parquet.kind(column);
        kind.is_some_and(|kind| is_text(kind) || is_whole(kind) || is_float(kind))
    };
    let (names, others): (Vec<String>, Vec<String>) =
        parquet.columns().into_iter().partition(readable);
    let kind = |name: String| {
        let kind = parquet.kind(&name).map_or_else(|| "nested".into(), |kind| format!("{kind:?}"));
        (name, kind)
    };
    let unread: Vec<_> = others.into_iter().map(kind).collect();
    if names.is_empty() {
        misuse!("{} has no column of text or of numbers of 32 or 64 bits", path.display());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen = vec![];
    let read = parquet.frames(&names, |frame| {
        seen = columns(&frame.head(Some(ROWS)))?;
        bail!("one row group is enough")
    });
    if seen.is_empty() {
        read?;
    }
    Ok(Look { unread, ..Look::of(Format::Parquet, seen) })
}

fn columns(frame: &DataFrame) -> Result<Vec<Sample>> {
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
    fn a_byte_order_mark_and_blank_lines_are_no_part_of_a_log() {
        let table = of("log.csv", "\u{feff}\n\nuser;item\n1;a\n".as_bytes()).unwrap();
        assert_eq!((table.separator, column(&table, "user")), (Some(';'), vec!["1".into()]));
        let objects = of("log.log", "\u{feff}{\"user\": 1}\n".as_bytes()).unwrap();
        assert_eq!(objects.format, Format::JsonLines);
        let error = of("log.jsonl", b"\n{\"user\": 1}\n\n{bad}\n").err().unwrap().to_string();
        assert!(error.contains("log.jsonl:4: "), "{error}");
    }

    #[test]
    fn a_first_line_of_values_names_nothing() {
        for (text, header) in [
            ("u1\ti1\t1300000000\n", false),
            ("u1\ti1\nu2\ti1\n", false),
            ("u1\t2011-05-06\n", false),
            ("user\ttime\nu1\t5\n", true),
            ("user\t\nu1\t\n", true),
        ] {
            let look = of("log.tsv", text.as_bytes()).unwrap();
            assert_eq!(look.header, header, "{text}");
            let name = if header { "user" } else { "1" };
            assert_eq!(column(&look, name)[0], "u1", "{text}");
        }
    }

    #[test]
    fn lists_of_objects_are_columns_of_their_own() {
        let text = b"{\"s\": 1, \"e\": [{\"a\": 2}, {\"a\": 3, \"t\": \"x\"}], \"n\": [1]}\n{\"s\": 2, \"e\": []}\n";
        let look = of("log.jsonl", text).unwrap();
        let sample = |name: &str, values: &[&str]| -> Sample {
            (name.into(), values.iter().map(|value| value.to_string()).collect())
        };
        let events = vec![sample("a", &["2", "3"]), sample("t", &["", "x"])];
        assert_eq!(look.lists, [("e".to_owned(), events)]);
        assert_eq!(column(&look, "s"), ["1", "2"]);
    }

    #[test]
    fn lines_of_blanks_and_of_objects_are_told_apart() {
        assert_eq!(of("log.txt", b"1 5\n1 6\n2 5\n").unwrap().format, Format::UserItem);
        assert_eq!(of("log.txt", b"5 6 7\n5\n").unwrap().format, Format::Sequences);
        let objects = of("log.txt", b"{\"u\": 1}\n{\"u\": \"x\", \"t\": [2]}\n").unwrap();
        assert_eq!(objects.format, Format::JsonLines);
        assert_eq!(column(&objects, "u"), ["1", "x"]);
        assert_eq!(column(&objects, "t"), ["", "[2]"]);
        assert!(objects.lists.is_empty());
    }

    #[test]
    fn parquet_is_looked_at_by_its_first_row_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        let users: Vec<i64> = (0..3_000).collect();
        let items: Vec<String> = users.iter().map(|user| format!("i{user}")).collect();
        let flags = Column::new("flag".into(), vec![true; 3_000]);
        let user = Column::new("user".into(), users);
        let mut frame =
            DataFrame::new(3_000, vec![flags, user, Column::new("item".into(), items)]).unwrap();
        ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
        let look = look(&path).unwrap();
        assert_eq!(look.format, Format::Parquet);
        assert_eq!(column(&look, "item")[..2], ["i0", "i1"]);
        assert_eq!(column(&look, "user").len(), ROWS);
        assert_eq!(look.unread, [("flag".to_owned(), "Boolean".to_owned())]);
        let mut flags = DataFrame::new(1, vec![Column::new("flag".into(), [true])]).unwrap();
        ParquetWriter::new(File::create(&path).unwrap()).finish(&mut flags).unwrap();
        assert!(super::look(&path).unwrap_err().to_string().contains("no column of text"));
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
