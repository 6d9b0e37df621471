//! What was found beside what the description expects and papers print.

use std::path::Path;

use anyhow::Result;

use crate::cli::table::count;
use crate::data::{Dataset, Description, SourceFile, on_disk};
use crate::files::md5;

/// A row for each number and each checksum that the description knows.
///
/// # Errors
/// A file that cannot be read again for its MD5.
pub fn rows(dataset: &Dataset, description: &Description) -> Result<Vec<[String; 2]>> {
    let counts = &dataset.manifest.counts;
    let mut rows = files(dataset, description)?;
    let expected = description.expected.beside(counts).into_iter();
    rows.extend(expected.map(|(name, wanted, found)| {
        [format!("expected: {name}"), beside(count(wanted), wanted == found, count(found))]
    }));
    for published in &description.published {
        let numbers = published.beside(counts).into_iter();
        rows.extend(numbers.map(|(name, wanted, found)| {
            let name = format!("published: {name} ({})", published.by);
            [name, beside(count(wanted), wanted == found, count(found))]
        }));
    }
    Ok(rows)
}

/// Of the owner's files, whether they are those that the description knows.
fn files(dataset: &Dataset, description: &Description) -> Result<Vec<[String; 2]>> {
    let manifest = &dataset.manifest;
    let known = [&manifest.items, &manifest.users].into_iter().flatten();
    let known = known.flat_map(|known| &known.files);
    let read: Vec<&SourceFile> = manifest.files.iter().chain(known).collect();
    let mut rows = vec![];
    for raw in &description.raw {
        let called = |file: &&&SourceFile| {
            let name = on_disk(Path::new(&file.path)).file_name();
            name.is_some_and(|name| name == raw.name.as_str())
        };
        let Some(file) = read.iter().find(called) else {
            continue;
        };
        if let Some(size) = raw.size {
            let found = format!("{} bytes", count(file.size));
            let row = beside(format!("{} bytes", count(size)), size == file.size, found);
            rows.push([format!("expected: size of {}", raw.name), row]);
        }
        let mut sum = |kind: &str, wanted: &str, found: &str| {
            let short = |sum: &str| format!("{}…", sum.get(..12).unwrap_or(sum));
            let row = beside(short(wanted), wanted == found, short(found));
            rows.push([format!("expected: {kind} of {}", raw.name), row]);
        };
        if let Some(wanted) = &raw.md5 {
            // SHA-256 was taken while the file was read; few descriptions have this one.
            sum("MD5", wanted, &md5(on_disk(Path::new(&file.path)))?);
        }
        if let Some(wanted) = &raw.sha256 {
            sum("SHA-256", wanted, &file.sha256);
        }
    }
    Ok(rows)
}

fn beside(wanted: String, same: bool, found: String) -> String {
    if same { format!("{wanted}, as found") } else { format!("{wanted}; found: {found}") }
}
