//! Text in blocks of bounded size that end where records end.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use anyhow::{Result, bail, ensure};
use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use super::input::{Input, SourceFile};

/// Large enough that a block's overhead does not count, small enough that memory stays bounded.
const BLOCK: usize = if cfg!(test) { 1 << 20 } else { 32 << 20 };

/// What one thread works on at once: its text and what is taken of it stay in the nearest caches.
const PIECE: usize = if cfg!(test) { 64 } else { 1 << 19 };

/// Blocks that are read ahead of the one that is worked on.
const AHEAD: usize = 1;

/// A part of a text file: whole records.
pub(super) struct Block<T = String> {
    pub text: T,
    /// The number of its first line in the file, from 1.
    pub first_line: usize,
}

/// Reads a file on a thread of its own, ahead of `take`, which is given block after block with the
/// bytes on disk that have been gone through.
///
/// # Errors
/// Those of [`Input::open`], [`Blocks::next`] and `take`.
pub(super) fn for_each(
    path: &Path,
    quote: Option<u8>,
    mut take: impl FnMut(&Block, u64) -> Result<()>,
) -> Result<SourceFile> {
    let mut input = Input::open(path)?;
    thread::scope(|scope| {
        let (give, blocks) = sync_channel(AHEAD);
        let (give_back, used) = channel::<String>();
        let reading = scope.spawn(move || -> Result<SourceFile> {
            let mut cut = Blocks::new(quote);
            while let Some(block) = cut.next(&mut input)? {
                let read = input.consumed();
                ensure!(give.send((block, read)).is_ok(), "nobody takes what is read");
                cut.spare = used.try_recv().unwrap_or_default().into_bytes();
            }
            input.finish()
        });
        for (block, read) in blocks {
            take(&block, read)?;
            // Memory that the reader has had is ready for use, other than new memory. It may be done.
            _ = give_back.send(block.text);
        }
        reading.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

impl Block {
    /// The text from byte `from` on in pieces for several threads.
    pub fn pieces(&self, from: usize, quote: Option<u8>) -> Vec<Block<&str>> {
        let bytes = self.text.as_bytes();
        let (mut start, mut first_line) = (from, self.first_line + lines_in(&bytes[..from]));
        let mut pieces = Vec::new();
        while start < bytes.len() {
            let enough = bytes.len().min(start + PIECE);
            let end = record_end(&bytes[start..], enough - start, quote);
            let end = end.map_or(bytes.len(), |end| start + end);
            pieces.push(Block { text: &self.text[start..end], first_line });
            first_line += lines_in(&bytes[start..end]);
            start = end;
        }
        pieces
    }
}

/// Cuts a file into [`Block`]s.
pub(super) struct Blocks {
    size: usize,
    quote: Option<u8>,
    rest: Vec<u8>,
    /// The memory of the next block.
    spare: Vec<u8>,
    next_line: usize,
    ended: bool,
}

impl Blocks {
    /// `quote`: the byte within a pair of which a line end does not end a record.
    pub fn new(quote: Option<u8>) -> Blocks {
        Blocks::of_size(BLOCK, quote)
    }

    fn of_size(size: usize, quote: Option<u8>) -> Blocks {
        let (rest, spare) = (Vec::new(), Vec::new());
        Blocks { size, quote, rest, spare, next_line: 1, ended: false }
    }

    /// The next block, `None` after the last.
    ///
    /// # Errors
    /// Text that is not UTF-8, a record longer than a block, what [`Input::read_into`] fails with.
    pub fn next(&mut self, input: &mut Input) -> Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        bytes.append(&mut self.rest);
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
    memchr_iter(b'\n', bytes).count()
}

/// The end of the last line that is not inside quotes.
fn last_record_end(bytes: &[u8], quote: Option<u8>) -> Option<usize> {
    let quotes = quote.map_or(0, |quote| memchr_iter(quote, bytes).count());
    if quotes == 0 {
        return Some(memrchr(b'\n', bytes)? + 1);
    }
    let mut inside = quotes % 2 == 1;
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'\n' && !inside {
            return Some(at + 1);
        }
        inside ^= Some(*byte) == quote;
    }
    None
}

/// The end of the first line behind byte `from` that is not inside quotes.
fn record_end(bytes: &[u8], from: usize, quote: Option<u8>) -> Option<usize> {
    let quotes = quote.map_or(0, |quote| memchr_iter(quote, &bytes[..from]).count());
    let rest = &bytes[from..];
    Some(from + line_end(rest, quote, quotes % 2 == 1)? + 1)
}

/// Where the first line ends that is not inside quotes; `inside`: whether `bytes` begin there.
fn line_end(bytes: &[u8], quote: Option<u8>, mut inside: bool) -> Option<usize> {
    let Some(quote) = quote else { return memchr(b'\n', bytes) };
    memchr2_iter(b'\n', quote, bytes).find(|at| {
        inside ^= bytes[*at] == quote;
        bytes[*at] == b'\n' && !inside
    })
}

/// `quote`, if there is one in the text: what has none is cut faster.
pub(super) fn used(quote: Option<u8>, text: &str) -> Option<u8> {
    quote.filter(|quote| memchr(*quote, text.as_bytes()).is_some())
}

/// The records of a block that are not blank: the number of the line each starts in, and where it
/// lies in the text, without its line end.
pub(super) fn records<T: AsRef<str>>(
    block: &Block<T>,
    quote: Option<u8>,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let bytes = block.text.as_ref().as_bytes();
    let (mut start, mut line) = (0, block.first_line);
    std::iter::from_fn(move || {
        while start < bytes.len() {
            let (first, from) = (line, start);
            let end = line_end(&bytes[from..], quote, false).map_or(bytes.len(), |end| from + end);
            start = end + 1;
            line += 1 + quote.map_or(0, |_| lines_in(&bytes[from..end]));
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
