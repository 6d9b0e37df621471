//! The pages of a Parquet file, looked through before polars reads them: it makes room for as many
//! values and bytes as a page says it has.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// Where a page's head ends at the latest; it holds the least and the greatest of the page's values.
const HEAD: u64 = 1 << 15;

/// Bytes that a page may be unpacked to, however few it has: no writer makes larger ones.
const UNPACKED: i64 = 1 << 27;

/// Whether each page that begins in `place` lies in a file of `size` bytes, and says of itself that it
/// has at most `values` values and takes memory as pages do.
pub(super) fn are_sound(
    reader: &mut (impl Read + Seek),
    place: Range<u64>,
    size: u64,
    values: i64,
) -> io::Result<bool> {
    let mut at = place.start;
    while at < place.end.min(size) {
        reader.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![];
        reader.take(HEAD).read_to_end(&mut bytes)?;
        let mut rest = Thrift(&bytes);
        let Some(page) = Page::read(&mut rest) else { return Ok(false) };
        let most = UNPACKED.max(page.packed.saturating_mul(256));
        let sound = (0..=values).contains(&page.values)
            && (0..=page.unpacked).contains(&page.entries)
            && (0..=most).contains(&page.unpacked);
        let (true, Ok(packed)) = (sound, u64::try_from(page.packed)) else { return Ok(false) };
        at += (bytes.len() - rest.0.len()) as u64 + packed;
        if at > size {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a page says of itself.
#[derive(Debug, Default, PartialEq)]
struct Page {
    /// Bytes in the file, behind the head.
    packed: i64,
    /// Bytes in memory.
    unpacked: i64,
    /// Of a page of data.
    values: i64,
    /// Of a dictionary.
    entries: i64,
}

impl Page {
    fn read(thrift: &mut Thrift) -> Option<Page> {
        let (mut page, mut last) = (Page::default(), 0);
        while let Some((field, kind)) = thrift.field(&mut last)? {
            match (field, kind) {
                (2, Thrift::I32) => page.unpacked = thrift.whole()?,
                (3, Thrift::I32) => page.packed = thrift.whole()?,
                (5 | 8, Thrift::STRUCT) => page.values = thrift.first()?,
                (7, Thrift::STRUCT) => page.entries = thrift.first()?,
                _ => thrift.pass(kind, 0)?,
            }
        }
        Some(page)
    }
}

/// What is left to read, in Thrift's compact protocol.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;
    /// Structures and lists in one another, of which pages have three.
    const DEEPEST: usize = 8;

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.0.first()?;
        self.skip(1)?;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn whole(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field of a structure and its kind; `Some(None)` at the structure's end.
    fn field(&mut self, last: &mut i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => self.whole()?,
            further => last.wrapping_add(i64::from(further)),
        };
        Some(Some((*last, head & 15)))
    }

    /// The first field of a structure, a number; what follows is passed.
    fn first(&mut self) -> Option<i64> {
        let (mut number, mut last) = (None, 0);
        while let Some((field, kind)) = self.field(&mut last)? {
            match (field, kind) {
                (1, Self::I32) => number = Some(self.whole()?),
                _ => self.pass(kind, 1)?,
            }
        }
        number
    }

    fn pass(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            // True and false are kinds of fields.
            1 | 2 => Some(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(usize::try_from(length).ok()?)
            }
            9 | 10 if depth < Self::DEEPEST => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // In a list true and false take a byte.
                let kind = if head & 15 <= 2 { 3 } else { head & 15 };
                (0..count).try_for_each(|_| self.pass(kind, depth + 1))
            }
            Self::STRUCT if depth < Self::DEEPEST => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.pass(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_s_head_is_read_and_what_is_not_needed_passed() {
        // Data: 21 bytes unpacked, 30 packed, a checksum, 300 values, encodings 0, 3, 3, statistics
        // with a text.
        let data = [
            0x15, 0, 0x15, 42, 0x15, 60, 0x15, 9, 0x1c, 0x15, 0xd8, 0x04, 0x15, 0, 0x15, 6, 0x15,
            6, 0x1c, 0x58, 2, b'a', b'b', 0x11, 0, 0, 0,
        ];
        let page = Page { packed: 30, unpacked: 21, values: 300, entries: 0 };
        assert_eq!(Page::read(&mut Thrift(&data)), Some(page));
        for end in 0..data.len() {
            assert_eq!(Page::read(&mut Thrift(&data[..end])), None);
        }
        let mut file = io::Cursor::new([&data[..], &[0; 30]].concat());
        let mut sound = |end, size, values| are_sound(&mut file, 0..end, size, values).unwrap();
        assert!(sound(57, 57, 300) && !sound(57, 56, 300) && !sound(57, 57, 299));
        // A second page, of zeros, is none.
        assert!(!sound(58, 58, 300));
        // Minus one value.
        let mut negative = data;
        (negative[10], negative[11]) = (0x81, 0);
        let read = Page::read(&mut Thrift(&negative)).unwrap();
        assert_eq!(read.values, -1);
        // A structure in a structure and a list in a list, without end.
        for within in [0x9c, 0x99] {
            assert_eq!(Page::read(&mut Thrift(&[within; 30_000])), None);
        }
    }
}
