//! Comma-separated values (RFC 4180), a record at a time.

use std::borrow::Cow;
use std::io::BufRead;

use anyhow::{Result, ensure};

/// The longest record, in bytes.
const LONGEST: usize = 16 << 20;

/// Reads records, and knows where it stands.
pub struct Reader<R> {
    input: R,
    /// The line that the next record starts in, from 1.
    pub line: u64,
    /// Bytes that were read.
    pub done: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the start of a file.
    pub fn new(input: R) -> Self {
        Self { input, line: 1, done: 0 }
    }

    /// The fields of the next record that is not blank, and the line it starts in; `None` at the
    /// end.
    ///
    /// # Errors
    /// A quote that is never closed, text that is not UTF-8, a file that cannot be read.
    pub fn next(&mut self) -> Result<Option<(u64, Vec<String>)>> {
        loop {
            let start = self.line;
            let record = String::from_utf8(self.record()?)?;
            if record.is_empty() {
                return Ok(None);
            }
            let text = record.strip_suffix('\n').unwrap_or(&record);
            let text = text.strip_suffix('\r').unwrap_or(text);
            let text = if start == 1 { text.trim_start_matches('\u{feff}') } else { text };
            if !text.is_empty() {
                return Ok(Some((start, fields(text))));
            }
        }
    }

    /// The next record with its line end; nothing at the end.
    fn record(&mut self) -> Result<Vec<u8>> {
        let (mut record, mut open) = (Vec::new(), false);
        loop {
            let before = record.len();
            let read = self.input.read_until(b'\n', &mut record)?;
            self.done += read as u64;
            self.line += u64::from(read > 0);
            // Between quotes a line end is text.
            open ^= record[before..].iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            ensure!(!open || (read > 0 && record.len() < LONGEST), "a quote is never closed");
            if !open {
                return Ok(record);
            }
        }
    }
}

fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (vec![], String::new(), false);
    let mut characters = record.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields
}

/// A field as it is written: in quotes where it must be.
pub fn quoted(field: &str) -> Cow<'_, str> {
    match field.contains(['"', ',', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", field.replace('"', "\"\""))),
        false => Cow::Borrowed(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_lines_are_counted() {
        let rows = [vec!["a", "b,c", "\"x\"\ny"], vec!["", "é", "\"\""], vec!["1", "2", ""]];
        let line = |row: &Vec<&str>| row.iter().map(|f| quoted(f)).collect::<Vec<_>>().join(",");
        let text =
            format!("\u{feff}{}\r\n\n{}\n{}", line(&rows[0]), line(&rows[1]), line(&rows[2]));
        let mut reader = Reader::new(text.as_bytes());
        let mut next = || reader.next().unwrap();
        assert_eq!(next(), Some((1, rows[0].iter().map(|f| f.to_string()).collect())));
        // Two lines of the first record, a blank one.
        assert_eq!(next().unwrap().1, rows[1]);
        assert_eq!(next(), Some((5, rows[2].iter().map(|f| f.to_string()).collect())));
        assert_eq!(next(), None);
        assert_eq!(reader.done, text.len() as u64);
        let error = Reader::new(&b"a,\"b\nc\n"[..]).next().unwrap_err().to_string();
        assert!(error.contains("never closed"), "{error}");
    }

    /// Either would take a stack, or hours, if it were gone through in a simple way.
    #[test]
    fn a_million_lines_are_passed_over_or_within_quotes() {
        let lines = "\n".repeat(1 << 20);
        let text = format!("{lines}a,\"{lines}\"\n");
        let mut reader = Reader::new(text.as_bytes());
        assert_eq!(reader.next().unwrap(), Some(((1 << 20) + 1, vec!["a".into(), lines])));
        assert_eq!(reader.next().unwrap(), None);
    }
}
