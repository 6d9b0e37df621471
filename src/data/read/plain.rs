//! The plain-text forms in which prepared data sets are often published.

use std::path::Path;

use anyhow::{Result, bail};

use super::blocks::{self, records};
use super::columns::{Reader, at};
use super::input::SourceFile;

/// Reads `user item` lines.
pub(super) fn read_pairs(reader: &mut Reader, path: &Path) -> Result<SourceFile> {
    for_each_line(reader, path, |reader, line, text| {
        let fields: Vec<&str> = text.split_whitespace().collect();
        match fields[..] {
            [] => Ok(()),
            [user, item] => reader.builder.push(user, item, None),
            _ => bail!(
                "{}: {} fields where two, `user item`, are expected",
                at(path, line),
                fields.len()
            ),
        }
    })
}

/// Reads one sequence a line. A user's name is the number of the line; `lines` carries the count
/// from file to file.
pub(super) fn read_sequences(
    reader: &mut Reader,
    path: &Path,
    lines: &mut usize,
) -> Result<SourceFile> {
    let before = *lines;
    for_each_line(reader, path, |reader, line, text| {
        *lines = before + line;
        let user = lines.to_string();
        text.split_whitespace().try_for_each(|item| reader.builder.push(&user, item, None))
    })
}

fn for_each_line(
    reader: &mut Reader,
    path: &Path,
    mut take: impl FnMut(&mut Reader, usize, &str) -> Result<()>,
) -> Result<SourceFile> {
    blocks::for_each(path, None, |block, read| {
        for (line, range) in records(block, None) {
            take(reader, line, &block.text[range])?;
        }
        (reader.progress)(reader.done + read);
        Ok(())
    })
}
