//! docs/architecture.md against the house: files that pages name, rooms, and which uses which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::{names, page, pages, root};
use crate::tell;

/// Files that docs/extending.md invents.
const INVENTED: [&str; 2] = ["src/loss/cosine_contrastive.rs", "src/model/recency_pool.rs"];

/// Folders whose files the pages name from the top.
const TOP: [&str; 8] =
    ["src", "configs", "datasets", "experiments", "tests", "benches", "docs", "dist"];

/// Names of files and folders of this repository, in spans of code.
#[test]
fn every_file_that_is_named_is_there() {
    let mut wrong = vec![];
    for page in pages() {
        for span in page.spans() {
            let name = span.text.as_str();
            let Some((first, _)) = name.split_once('/') else { continue };
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_.-".contains(c);
            let ours = TOP.contains(&first) || name.ends_with(".rs") || name.ends_with('/');
            if !ours || !name.chars().all(plain) || INVENTED.contains(&name) {
                continue;
            }
            let places = [page.target(name), root().join(name), root().join("src").join(name)];
            if !places.iter().any(|place| place.exists()) {
                wrong.push(format!("{}: there is no {name}", page.at(span.line)));
            }
        }
    }
    tell(wrong);
}

/// The rooms of the table of floors, from the lowest up; on one floor from left to right.
fn rooms() -> Vec<String> {
    let architecture = page("docs/architecture.md").text;
    let (_, table) =
        architecture.split_once("| floor | room | holds |").expect("a table of floors");
    let rows = table.lines().take_while(|line| line.is_empty() || line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let mut floors: Vec<Vec<String>> = cells
        .map(|cell| {
            cell.split('`').skip(1).step_by(2).map(|r| r.trim_end_matches('/').into()).collect()
        })
        .collect();
    floors.reverse();
    floors.concat()
}

#[test]
fn every_room_is_in_the_table_of_floors() {
    let known = rooms();
    let there = names("src").into_iter().filter(|name| root().join(name).is_dir());
    let missing = there.filter(|room| !known.iter().any(|known| format!("src/{known}") == *room));
    tell(missing.map(|room| format!("docs/architecture.md: {room} stands on no floor")).collect());
}

/// The files of Rust in a folder and those in it, those of tests alone left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(path);
        }
    }
    all
}

/// The first names of paths that begin with `crate::` in a file, comments and tests left out.
fn uses(source: &str) -> Vec<String> {
    let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let name = |text: &str| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut all = vec![];
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => all.push(name(rest)),
            // Of a group the names that stand directly in it.
            Some(group) => {
                let mut depth = 0;
                let mut part = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        ',' if depth == 0 => all.push(name(std::mem::take(&mut part).trim())),
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if !(c == ',' && depth == 0) {
                        part.push(c);
                    }
                }
                all.push(name(part.trim()));
            }
        }
    }
    all
}

/// A room uses rooms below it, and of its own floor those that the table names before it.
#[test]
fn every_room_uses_only_rooms_below_it() {
    let rooms = rooms();
    let rank: BTreeMap<&str, usize> = rooms.iter().map(String::as_str).zip(0..).collect();
    let mut wrong = vec![];
    let mut seen = 0;
    for (room, own) in &rank {
        for path in sources(&root().join("src").join(room)) {
            for used in uses(&fs::read_to_string(&path).unwrap()) {
                let Some(other) = rank.get(used.as_str()) else { continue };
                seen += 1;
                if other > own {
                    let path = path.strip_prefix(root()).unwrap().display();
                    wrong.push(format!("{path} uses {used}/, which is above {room}/"));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} uses were found");
    tell(wrong);
}
