//! Commands of the pages: those of this program parse, those of make have a target.

use std::collections::BTreeSet;
use std::fs;

use clap::Parser;
use clap::error::ErrorKind;
use croloss::cli::Cli;
use croloss::config::keys;

use crate::pages::{page, pages, root};
use crate::tell;

/// What is wrong with a command's words, if it is one of ours; `whole`: nothing may be missing.
fn wrong_with(words: &[String], whole: bool) -> Option<String> {
    if words.first().is_some_and(|word| word == "make") {
        return wrong_with_make(&words[1..]);
    }
    let ours = |word: &String| word == "croloss" || word.ends_with("/croloss");
    let words = &words[words.iter().position(ours)?..];
    let sets = words.windows(2).filter(|pair| pair[0] == "--set").map(|pair| &pair[1]);
    for set in sets {
        let key = set.split('=').next().unwrap_or_default();
        if key != "KEY" && !keys().iter().any(|known| known == key) {
            return Some(format!("--set {set}: there is no such key"));
        }
    }
    let error = Cli::try_parse_from(words).err()?;
    let incomplete = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
        kind if !whole && incomplete.contains(&kind) => None,
        _ => Some(format!("{}: {error}", words.join(" "))),
    }
}

fn makefile() -> String {
    fs::read_to_string(root().join("Makefile")).unwrap()
}

fn wrong_with_make(words: &[String]) -> Option<String> {
    let known = |word: &String| match word.split_once('=') {
        Some((variable, _)) => {
            makefile().lines().any(|line| line.starts_with(&format!("{variable} ?=")))
        }
        None => makefile().lines().any(|line| line.starts_with(&format!("{word}:"))),
    };
    words.iter().find(|word| !known(word)).map(|word| format!("make {word}: the Makefile has none"))
}

#[test]
fn every_command_parses() {
    let (mut wrong, mut seen) = (vec![], 0);
    for page in pages() {
        for block in page.blocks("sh") {
            for (line, words) in commands(&block.text, block.line) {
                seen += 1;
                wrong.extend(
                    wrong_with(&words, true).map(|what| format!("{}: {what}", page.at(line))),
                );
            }
        }
        for span in page.spans() {
            let first = span.text.split(' ').next().unwrap_or_default();
            if ["croloss", "target/release/croloss", "make"].contains(&first) && first != span.text
            {
                for (_, words) in commands(&span.text, span.line) {
                    seen += 1;
                    let what = wrong_with(&words, false);
                    wrong.extend(what.map(|what| format!("{}: {what}", page.at(span.line))));
                }
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
    tell(wrong);
}

#[test]
fn the_list_of_make_targets_is_the_makefile_s() {
    let target = |line: &str| Some(line.strip_prefix("| `make ")?.split_once('`')?.0.to_owned());
    let listed: BTreeSet<String> =
        page("docs/architecture.md").text.lines().filter_map(target).collect();
    let makefile = makefile();
    let with_help = makefile.lines().filter(|line| line.contains(": ## ") || line.contains(" ## "));
    let targets: BTreeSet<String> =
        with_help.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
    let targets = targets
        .into_iter()
        .filter(|name| name.chars().all(|c| c.is_alphabetic() || c == '-'))
        .collect();
    assert_eq!(listed, targets);
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    assert_eq!(phony.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), listed);
}

/// The commands of a shell block, each by its words and the line that it begins at, counted from
/// `first`. Comments are left out; a variable has the value 1.
fn commands(text: &str, first: usize) -> Vec<(usize, Vec<String>)> {
    let (mut all, mut words, mut word) = (vec![], vec![], None::<String>);
    let (mut line, mut begun) = (first, first);
    let mut rest = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = rest.next() {
        line += usize::from(c == '\n');
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('$', None | Some('"')) => {
                let brackets = rest.peek() == Some(&'(');
                let inside = |c: &char| match brackets {
                    true => *c != ')',
                    false => c.is_alphanumeric() || "_{}".contains(*c),
                };
                while rest.next_if(inside).is_some() {}
                while rest.next_if(|c| brackets && *c == ')').is_some() {}
                word.get_or_insert_default().push('1');
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            ('\\', None) if rest.next_if_eq(&'\n').is_some() => line += 1,
            ('#', None) if word.is_none() => while rest.next_if(|c| *c != '\n').is_some() {},
            ('\n' | '|' | '&' | ';', None) => {
                words.extend(word.take());
                if !words.is_empty() {
                    all.push((begun, std::mem::take(&mut words)));
                }
                begun = line;
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.extend((!words.is_empty()).then_some((begun, words)));
    all
}
