//! Pages of Markdown, as far as tests ask: blocks of code, spans of code, links, headings.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page under the name that errors give it, relative to [`root`].
pub struct Page {
    pub name: String,
    pub text: String,
}

/// Something of a page, with the line that it begins at.
pub struct Found {
    pub line: usize,
    pub text: String,
}

/// All pages written by hand.
pub fn pages() -> Vec<Page> {
    let mut all = vec![page("README.md"), page("CHANGELOG.md")];
    for folder in ["docs", "benches", "experiments"] {
        all.extend(
            names(folder).iter().filter(|name| name.ends_with(".md")).map(|name| page(name)),
        );
    }
    let of_results = names("experiments").into_iter().map(|name| format!("{name}/README.md"));
    all.extend(of_results.filter(|name| root().join(name).is_file()).map(|name| page(&name)));
    all
}

/// The page of that name.
pub fn page(name: &str) -> Page {
    let text = fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    Page { name: name.to_owned(), text }
}

/// What stands in a folder, in order, each as FOLDER/NAME.
pub fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", name(entry.unwrap()))).collect();
    names.sort();
    names
}

impl Page {
    /// "PAGE:LINE"
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.name)
    }

    /// The fenced blocks of code of a language.
    pub fn blocks(&self, language: &str) -> Vec<Found> {
        let (mut all, mut open) = (vec![], None::<(String, Found)>);
        for (line, text) in (1..).zip(self.text.lines()) {
            match (text.strip_prefix("```"), &mut open) {
                (Some(name), None) => {
                    let block = Found { line: line + 1, text: String::new() };
                    open = Some((name.to_owned(), block));
                }
                (Some(_), Some(_)) => all.extend(open.take().filter(|(name, _)| name == language)),
                (None, Some((_, block))) => block.text += &format!("{text}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block of code that never ends", self.name);
        all.into_iter().map(|(_, block)| block).collect()
    }

    /// The page with its blocks of code emptied; lines stay where they are.
    fn prose(&self) -> String {
        let mut inside = false;
        let kept = self.text.lines().map(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            if inside || fence { "" } else { line }
        });
        kept.collect::<Vec<_>>().join("\n")
    }

    /// Spans of code: what stands between two backticks of a paragraph, on one line.
    pub fn spans(&self) -> Vec<Found> {
        let (prose, mut all, mut line) = (self.prose(), vec![], 1);
        for paragraph in prose.split("\n\n") {
            for (at, part) in paragraph.split('`').enumerate() {
                if at % 2 == 1 {
                    all.push(Found { line, text: part.replace('\n', " ") });
                }
                line += part.matches('\n').count();
            }
            line += 2;
        }
        all
    }

    /// The targets of links and images.
    pub fn links(&self) -> Vec<Found> {
        let links = |(line, text): (usize, &str)| -> Vec<Found> {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            targets.map(|(target, _)| Found { line, text: target.to_owned() }).collect()
        };
        (1..).zip(self.prose().lines()).flat_map(links).collect()
    }

    /// What links to a heading of the page have behind `#`.
    pub fn anchors(&self) -> Vec<String> {
        let heading = |line: &str| Some(line.strip_prefix('#')?.trim_start_matches('#').to_owned());
        let anchor = |heading: String| -> String {
            let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
            heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
        };
        self.prose().lines().filter_map(heading).map(anchor).collect()
    }

    /// What a relative link points at.
    pub fn target(&self, link: &str) -> PathBuf {
        root().join(&self.name).parent().unwrap().join(link)
    }
}
