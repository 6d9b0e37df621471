//! What was found beside what the description expects and papers print.

use std::path::Path;

use crate::cli::table::count;
use crate::data::{Dataset, Description, on_disk};

/// A row for each number and each checksum that the description knows.
pub fn rows(dataset: &Dataset, description: &Description) -> Vec<[String; 2]> {
    let counts = &dataset.manifest.counts;
    let mut rows = files(dataset, description);
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
    rows
}

/// Of the owner's files, whether they are those that the description knows.
fn files(dataset: &Dataset, description: &Description) -> Vec<[String; 2]> {
    let mut rows = vec![];
    for raw in &description.raw {
        let called = |path: &str| {
            on_disk(Path::new(path)).file_name().is_some_and(|name| name == raw.name.as_str())
        };
        let Some(file) = dataset.manifest.files.iter().find(|file| called(&file.path)) else {
            continue;
        };
        if let Some(size) = raw.size {
            let found = format!("{} bytes", count(file.size));
            let row = beside(format!("{} bytes", count(size)), size == file.size, found);
            rows.push([format!("expected: size of {}", raw.name), row]);
        }
        if let Some(sum) = &raw.sha256 {
            let short = |sum: &str| format!("{}…", sum.get(..12).unwrap_or(sum));
            let row = beside(short(sum), *sum == file.sha256, short(&file.sha256));
            rows.push([format!("expected: SHA-256 of {}", raw.name), row]);
        }
    }
    rows
}

fn beside(wanted: String, same: bool, found: String) -> String {
    if same { format!("{wanted}, as found") } else { format!("{wanted}; found: {found}") }
}
