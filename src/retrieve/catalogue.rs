//! Original item ids and what they are called inside; the items that may be recommended.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

use crate::misuse;
use crate::reading;

/// The original id of every item, and back.
pub struct Catalogue {
    originals: Vec<String>,
    ids: HashMap<String, u32>,
    /// Of all original ids.
    bytes: usize,
}

/// A history whose items were looked up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Ids of the known items, in their order.
    pub ids: Vec<u32>,
    /// How many items are not known.
    pub unknown: usize,
}

impl Known {
    /// What is said where no item is known.
    pub fn why_nothing(&self) -> String {
        match self.unknown {
            0 => "the history is empty".into(),
            1 => "its one item is not known".into(),
            unknown => format!("none of its {unknown} items is known"),
        }
    }
}

impl Catalogue {
    /// From original ids, that of item `i` at `i - 1`.
    pub fn new(originals: Vec<String>) -> Self {
        let ids = originals.iter().zip(1..).map(|(original, id)| (original.clone(), id)).collect();
        let bytes = originals.iter().map(String::len).sum();
        Self { originals, ids, bytes }
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.originals.len()
    }

    /// The mean length of an original id, in bytes.
    pub fn mean_length(&self) -> usize {
        self.bytes / self.len().max(1)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }

    /// The original id of a row of the item vectors.
    pub fn original(&self, row: u32) -> &str {
        &self.originals[row as usize]
    }

    fn has(&self, original: &str) -> bool {
        self.ids.contains_key(original)
    }

    /// Looks up the items of a history.
    pub fn known<S: AsRef<str>>(&self, history: &[S]) -> Known {
        let ids: Vec<u32> =
            history.iter().filter_map(|item| self.ids.get(item.as_ref())).copied().collect();
        Known { unknown: history.len() - ids.len(), ids }
    }
}

/// The items that may be recommended.
pub struct Filter {
    /// Rows of the item vectors, ascending.
    pub rows: Vec<u32>,
    /// Items of the files that the catalogue does not have.
    pub unknown: usize,
}

impl Filter {
    /// Reads files of one original id a line: only the items of `allow` may be recommended (all,
    /// if it is not given), and never those of `deny`.
    ///
    /// # Errors
    /// A file that cannot be read; no item that is left.
    pub fn read(catalogue: &Catalogue, allow: Option<&Path>, deny: Option<&Path>) -> Result<Self> {
        let mut unknown = 0;
        let mut mark = |path: &Path, mask: &mut [bool], value| -> Result<()> {
            let mut text = String::new();
            let read = reading::open(path)?.read_to_string(&mut text);
            read.with_context(|| format!("cannot read {}", path.display()))?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            // An id may have blanks around it, but a line with some hardly means them.
            let meant = |line| if catalogue.has(line) { line } else { line.trim() };
            let lines: Vec<&str> =
                text.lines().map(meant).filter(|line| !line.is_empty()).collect();
            let known = catalogue.known(&lines);
            unknown += known.unknown;
            known.ids.iter().for_each(|&id| mask[id as usize - 1] = value);
            Ok(())
        };
        let mut mask = vec![allow.is_none(); catalogue.len()];
        if let Some(path) = allow {
            mark(path, &mut mask, true)?;
        }
        if let Some(path) = deny {
            mark(path, &mut mask, false)?;
        }
        let rows: Vec<u32> =
            (0u32..).zip(mask).filter(|(_, may)| *may).map(|(row, _)| row).collect();
        if rows.is_empty() {
            let files = [allow, deny].map(|path| path.map(|path| path.display().to_string()));
            let files = files.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            misuse!("{files} leave no item of the catalogue that could be recommended");
        }
        Ok(Self { rows, unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_not_known_is_counted_and_left_out() {
        let catalogue = Catalogue::new(["a", "b", "c d"].map(String::from).to_vec());
        let known = catalogue.known(&["b", "x", "c d", "b", ""]);
        assert_eq!(known, Known { ids: vec![2, 3, 2], unknown: 2 });
        assert_eq!(catalogue.original(2), "c d");
    }

    #[test]
    fn a_filter_allows_and_denies() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let catalogue = Catalogue::new(["a", "b", "c", "d"].map(String::from).to_vec());
        let (some, two) = (path("some", "d\nb\r\nx\n\na"), path("two", "b\ny\n"));
        let read = |allow, deny| Filter::read(&catalogue, allow, deny);
        let filter = read(Some(&some), Some(&two)).unwrap();
        assert_eq!((filter.rows, filter.unknown), (vec![0, 3], 2));
        assert_eq!(read(None, Some(&two)).unwrap().rows, [0, 2, 3]);
        let typed = path("typed", "\u{feff}a \r\n\tc\n  \n");
        let filter = read(None, Some(&typed)).unwrap();
        assert_eq!((filter.rows, filter.unknown), (vec![1, 3], 0));
        let error = read(Some(&two), Some(&two)).err().unwrap().to_string();
        assert!(error.contains("no item"), "{error}");
    }
}
