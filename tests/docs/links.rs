//! Links of the pages.

use std::fs;

use crate::pages::{Page, pages, root};
use crate::tell;

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = vec![];
    for page in pages() {
        for link in page.links() {
            if link.text.contains("://") {
                continue;
            }
            let (path, anchor) = link.text.split_once('#').unwrap_or((&link.text, ""));
            let target = if path.is_empty() { root().join(&page.name) } else { page.target(path) };
            let place = page.at(link.line);
            if !target.exists() {
                wrong.push(format!("{place}: there is no {path}"));
            } else if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap_or_default();
                let there = Page { name: path.to_owned(), text }.anchors();
                if !there.iter().any(|known| known == anchor) {
                    wrong.push(format!(
                        "{place}: {path} has no heading #{anchor} (there are: {there:?})"
                    ));
                }
            }
        }
    }
    tell(wrong);
}
