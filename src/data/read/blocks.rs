//! Text in blocks of bounded size that end where records end.

use std::ops::Range;

use anyhow::{Result, bail};

use super::input::Input;

/// Large enough that a block's overhead does not count, small enough that memory stays bounded.
const BLOCK: usize = 32 << 20;

/// A piece of a text file: whole records.
pub(super) struct Block {
    pub text: String,
    /// The number of its first line in the file, from 1.
    pub first_line: usize,
}

/// Cuts a file into [`Block`]s.
pub(super) struct Blocks {
    size: usize,
    quote: Option<u8>,
    rest: Vec<u8>,
    next_line: usize,
    ended: bool,
}

impl Blocks {
    /// `quote`: the byte within a pair of which a line end does not end a record.
    pub fn new(quote: Option<u8>) -> Blocks {
        Blocks::of_size(BLOCK, quote)
    }

    fn of_size(size: usize, quote: Option<u8>) -> Blocks {
        Blocks { size, quote, rest: Vec::new(), next_line: 1, ended: false }
    }

    /// The next block, `None` after the last.
    ///
    /// # Errors
    /// Text that is not UTF-8, a record longer than a block, what [`Input::read_into`] fails with.
    pub fn next(&mut self, input: &mut Input) -> Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.rest);
        if !self.ended {
            let wanted = self.size.saturating_sub(bytes.len()).max(1);
            self.ended = input.read_into(&mut bytes, wanted)? < wanted;
        }
        if !self.ended {
            let Some(end) = last_record_end(&bytes, self.quote) else {
                let (path, line) = (input.path.display(), self.next_line);
                let quote = if self.quote.is_some() { "; is a quote never closed?" } else { "" };
                let size = self.size;
                bail!(
                    "{path}:{line}: the record that starts here is over {size} bytes long{quote}"
                );
            };
            self.rest = bytes.split_off(end);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let first_line = self.next_line;
        self.next_line += lines_in(&bytes);
        if first_line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Block { text, first_line })),
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = first_line + lines_in(before);
                bail!("{}:{line}: this line is not UTF-8 text", input.path.display())
            }
        }
    }
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The end of the last line that is not inside quotes.
fn last_record_end(bytes: &[u8], quote: Option<u8>) -> Option<usize> {
    let quotes = |byte: &&u8| Some(**byte) == quote;
    let mut inside = bytes.iter().filter(quotes).count() % 2 == 1;
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'\n' && !inside {
            return Some(at + 1);
        }
        inside ^= Some(*byte) == quote;
    }
    None
}

/// The records of a block that are not blank: the number of the line each starts in, and where it
/// lies in the text, without its line end.
pub(super) fn records(
    block: &Block,
    quote: Option<u8>,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let bytes = block.text.as_bytes();
    let (mut start, mut line) = (0, block.first_line);
    std::iter::from_fn(move || {
        while start < bytes.len() {
            let (mut inside, mut lines, first, from) = (false, 1, line, start);
            let end = bytes[from..].iter().position(|byte| {
                inside ^= Some(*byte) == quote;
                lines += usize::from(*byte == b'\n' && inside);
                *byte == b'\n' && !inside
            });
            let end = end.map_or(bytes.len(), |end| from + end);
            start = end + 1;
            line += lines;
            let carriage = usize::from(bytes[from..end].ends_with(b"\r"));
            if end - carriage > from {
                return Some((first, from..end - carriage));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(content: &[u8], size: usize, quote: Option<u8>) -> Result<Vec<(usize, String)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, content).unwrap();
        let mut input = Input::open(&path)?;
        let mut blocks = Blocks::of_size(size, quote);
        let mut all = Vec::new();
        while let Some(block) = blocks.next(&mut input)? {
            all.push((block.first_line, block.text));
        }
        Ok(all)
    }

    #[test]
    fn blocks_of_any_size_end_at_record_ends_and_lose_nothing() {
        let text = "a,1\nb,\"2\n2\"\n\nc,3\nd,\"4\n\n4\"\ne,5";
        for size in 12..40 {
            let blocks = cut(text.as_bytes(), size, Some(b'"')).unwrap();
            let mut line = 1;
            for (first_line, block) in &blocks {
                assert_eq!(*first_line, line);
                line += block.matches('\n').count();
                assert_eq!(block.matches('"').count() % 2, 0, "{block:?}");
            }
            assert_eq!(blocks.into_iter().map(|block| block.1).collect::<String>(), text);
        }
        assert_eq!(cut(text.as_bytes(), 5, None).unwrap().len(), 7);
    }

    #[test]
    fn records_know_their_lines_and_skip_blank_ones() {
        let text = "a\r\n\nb \"x\n\ny\"\n\r\nc".to_owned();
        let block = Block { text: text.clone(), first_line: 10 };
        let seen: Vec<_> =
            records(&block, Some(b'"')).map(|(line, range)| (line, &text[range])).collect();
        assert_eq!(seen, [(10, "a"), (12, "b \"x\n\ny\""), (16, "c")]);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_line() {
        let error = cut(b"a\nb\nc\xff\nd\n", 4, None).unwrap_err().to_string();
        assert!(error.ends_with("log:3: this line is not UTF-8 text"), "{error}");
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_swallow_the_file() {
        let error = cut(b"a\n\"b\nc\nd\ne\nf\n", 6, Some(b'"')).unwrap_err().to_string();
        assert!(error.contains("log:2: ") && error.contains("never closed"), "{error}");
    }
}
