//! The README of an export, with snippets that work as they stand.

use super::manifest::Manifest;

/// Markdown that tells what is in the folder and how to use it.
pub(super) fn text(manifest: &Manifest) -> String {
    let values = [
        ("{dataset}", manifest.dataset.clone()),
        ("{croloss}", manifest.croloss.clone()),
        ("{commit}", manifest.commit.clone()),
        ("{items}", manifest.items.to_string()),
        ("{dim}", manifest.dim.to_string()),
        ("{history}", manifest.history.to_string()),
    ];
    let repeats = manifest.repeats.as_ref().map_or("", |_| include_str!("repeats.md"));
    let text = include_str!("readme.md").replace("{repeats}", repeats);
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}
