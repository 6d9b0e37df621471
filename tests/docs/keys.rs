//! Configuration keys: docs/configuration.md names each of them, its default and its values; blocks
//! of TOML can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use croloss::config::{Config, LogSize, keys, load};
use croloss::data::Description;
use croloss::sweep::SweepFile;
use toml::{Table, Value};

use crate::pages::{Page, page, pages, root};
use crate::tell;

/// A file of that text, given to `read`.
fn as_file<T>(text: &str, read: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, text).unwrap();
    read(&path)
}

fn configuration(text: &str) -> anyhow::Result<Config> {
    let size = LogSize { users: 1, interactions: 30 };
    as_file(text, |path| load(path, &[], |_| Ok(size)))
}

/// A row of a table of keys in docs/configuration.md.
struct Row {
    line: usize,
    key: String,
    default: String,
    values: String,
}

/// The rows of the tables whose head begins with `key`, and of no others.
fn rows(page: &Page) -> Vec<Row> {
    let (mut all, mut inside) = (vec![], false);
    for (line, text) in (1..).zip(page.text.lines()) {
        let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
        inside =
            text.starts_with("| key | default | values |") || (inside && text.starts_with('|'));
        if let ([key, default, values, _], true) = (&cells[..], inside && text.starts_with("| `")) {
            let key = key.trim_matches('`').to_owned();
            all.push(Row { line, key, default: default.to_string(), values: values.to_string() });
        }
    }
    assert!(!all.is_empty(), "{}: no table of keys", page.name);
    all
}

/// The spans of code in a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Configurations that read every key between them.
fn bases() -> Vec<Table> {
    let users = "data = { path = 'x' }\n";
    let source = "[[sampling.negatives]]\nfrom = 'popularity'\ncount = 64\nper = 'batch'\n";
    let sessions = format!(
        "{users}tower.encoder = 'transformer'\n[sampling]\nsamples = 'positions'\n{source}"
    );
    let of_loss = |loss: &str| format!("{users}loss = {{ {loss} }}\n");
    let all = [
        users.to_owned(),
        sessions.clone(),
        sessions.replace("transformer", "gru"),
        sessions.replace("'transformer'", "'transformer'\ntower.layer = 'ligr'"),
        of_loss("kind = 'cro-lambda'"),
        of_loss("kind = 'cro', kernel = 'hinge'"),
        of_loss("kind = 'cross-entropy'"),
        of_loss("kind = 'gbce'"),
        of_loss("kind = 'bpr-max'"),
        of_loss("kernel = 'psl-tanh'"),
        of_loss("kind = 'bsl'"),
        of_loss("kind = 'sl-at-k'"),
    ];
    all.iter().map(|text| text.parse().unwrap()).collect()
}

/// Puts a value in the place of a dotted key, in a list into its first table; gives what was there.
fn put(table: &mut Table, key: &str, value: Value) -> Option<Value> {
    match key.split_once('.') {
        None => table.insert(key.to_owned(), value),
        Some((part, rest)) => match table.entry(part).or_insert_with(|| Table::new().into()) {
            Value::Table(inner) => put(inner, rest, value),
            Value::Array(list) => put(list[0].as_table_mut().unwrap(), rest, value),
            other => panic!("{part} = {other} is no table"),
        },
    }
}

#[test]
fn every_key_is_documented_once_and_every_documented_key_exists() {
    let page = page("docs/configuration.md");
    let known: BTreeSet<String> = keys().into_iter().collect();
    let mut documented = BTreeMap::new();
    let mut wrong = vec![];
    for row in rows(&page) {
        if !known.contains(&row.key)
            && !known.iter().any(|k| k.starts_with(&format!("{}.", row.key)))
        {
            wrong.push(format!("{}: there is no key `{}`", page.at(row.line), row.key));
        }
        if let Some(line) = documented.insert(row.key.clone(), row.line) {
            wrong.push(format!("{}: `{}` stands in line {line} too", page.at(row.line), row.key));
        }
    }
    let missing = known.iter().filter(|key| !documented.contains_key(*key));
    wrong.extend(missing.map(|key| format!("{}: the key `{key}` is missing", page.name)));
    tell(wrong);
}

/// Where a default is one value, setting it changes nothing, wherever the key is read.
#[test]
fn documented_defaults_are_the_defaults() {
    let page = page("docs/configuration.md");
    let mut wrong = vec![];
    let (mut checked, bases) = (0, bases());
    for row in rows(&page) {
        let [default] = quoted(&row.default)[..] else { continue };
        if row.default != format!("`{default}`") {
            continue;
        }
        let value = format!("v = {default}").parse::<Table>().map(|mut table| table.remove("v"));
        let Ok(Some(value)) = value else {
            wrong.push(format!("{}: `{default}` is no TOML value", page.at(row.line)));
            continue;
        };
        let with = |base: &Table| {
            let mut table = base.clone();
            // Where the key has a value already its default does not count.
            put(&mut table, &row.key, value.clone()).is_none().then_some(())?;
            let with = configuration(&table.to_string()).ok()?;
            Some((configuration(&base.to_string()).unwrap(), with))
        };
        let pairs: Vec<(Config, Config)> = bases.iter().filter_map(with).collect();
        if pairs.is_empty() {
            wrong.push(format!("{}: `{}` = {default} is refused", page.at(row.line), row.key));
        }
        if pairs.iter().any(|(without, with)| without != with) {
            wrong.push(format!(
                "{}: the default of `{}` is not {default}",
                page.at(row.line),
                row.key
            ));
        }
        checked += 1;
    }
    assert!(checked > 25, "only {checked} defaults were checked");
    tell(wrong);
}

/// Where a key takes one of a few words, its row names all of them and no other.
#[test]
fn documented_values_are_the_values() {
    let page = page("docs/configuration.md");
    let mut wrong = vec![];
    let mut checked = 0;
    for row in rows(&page) {
        let mut table = bases()[1].clone();
        put(&mut table, &row.key, "no-such-word".into());
        let error =
            configuration(&table.to_string()).map_or_else(|e| format!("{e:#}"), |_| String::new());
        let Some((_, known)) = error.split_once("(known here: ") else { continue };
        let known: BTreeSet<&str> =
            known.split([',', ' ', ')']).filter(|word| !word.is_empty()).collect();
        let known: BTreeSet<&str> =
            known.into_iter().filter(|word| !["ssm", "sl@k"].contains(word)).collect();
        let named: BTreeSet<&str> = quoted(&row.values).into_iter().collect();
        if named != known {
            let place = page.at(row.line);
            wrong.push(format!("{place}: `{}` takes {known:?}, not {named:?}", row.key));
        }
        checked += 1;
    }
    assert!(checked > 12, "only {checked} keys were checked");
    tell(wrong);
}

#[test]
fn blocks_of_toml_are_what_they_show() {
    let mut wrong = vec![];
    for page in pages() {
        for block in page.blocks("toml") {
            let read = match page.name.as_str() {
                "docs/data.md" => as_file(&block.text, |path| Description::load(path)?.check()),
                "docs/sweeps.md" => {
                    let text =
                        block.text.replace("../configs", root().join("configs").to_str().unwrap());
                    as_file(&text, |path| match text.contains("base =") {
                        true => SweepFile::load(path, &[]).map(drop),
                        false => SweepFile::space(path, &text, Table::new(), &[]).map(drop),
                    })
                }
                _ => configuration(&format!("data.path = 'x'\n{}", block.text)).map(drop),
            };
            wrong.extend(read.err().map(|error| format!("{}: {error:#}", page.at(block.line))));
        }
    }
    tell(wrong);
}
