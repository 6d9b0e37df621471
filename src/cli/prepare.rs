//! `croloss prepare`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::choice::one_of;
use super::progress::Bar;
use crate::data::{self, Dataset, Description, FieldRule, Format, Moment, RecordSource, SplitBy};
use crate::folders::{Claim, refuse_foreign};
use crate::misuse;

mod summary;

/// Turns an interaction log into a dataset folder: filtered, ordered, numbered and split.
///
/// What is read and how comes from a description (the name of a known data set, or a file), from the
/// options below, or from both: an option goes before the description. Without a description, --input
/// is needed, and for tables --user and --item.
#[derive(clap::Args)]
pub struct Prepare {
    /// The description of a data set: its name (amazon-books), or a file.
    #[arg(value_name = "DESCRIPTION")]
    description: Option<PathBuf>,
    /// The folder where the data set's files lie under their owner's names, packed or unpacked.
    #[arg(long, value_name = "DIR", requires = "description", conflicts_with_all = ["input", "test_input"])]
    raw: Option<PathBuf>,
    /// A file of the log, gzipped or not; several are read one after another [default: the files
    /// that the description names, in the current folder].
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// A file of the log whose users test, for a given split (can be repeated).
    #[arg(long, value_name = "FILE")]
    test_input: Vec<PathBuf>,
    /// The folder to write [default: data/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the dataset is called [default: as in the description, else as the first input].
    #[arg(long)]
    name: Option<String>,
    /// How the log is written [default: told by the file's name].
    #[arg(long, value_parser = one_of(&Format::ALL, Format::name, Format::about))]
    format: Option<Format>,
    /// The column of the users' ids; without a header columns are named 1, 2, …
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// The column of the items' ids.
    #[arg(long, value_name = "COLUMN")]
    item: Option<String>,
    /// The column of the times, numbers or dates; without it the order of the log is the order of
    /// time.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The column of the day, where the times count within a user only.
    #[arg(long, value_name = "COLUMN")]
    day: Option<String>,
    /// In JSON lines: the key of the list of events that each line holds beside the user's id.
    #[arg(long, value_name = "KEY")]
    events: Option<String>,
    /// What separates columns, one character; \t is a tab [default: , for CSV, \t for TSV].
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    separator: Option<char>,
    /// The first line is an event, not the names of the columns.
    #[arg(long)]
    no_header: bool,
    /// Take only events whose column has one of these values.
    #[arg(long, value_name = "COLUMN=VALUE,…", value_parser = keep)]
    keep: Vec<(String, Vec<String>)>,
    /// Drop items with fewer interactions, first [default: 5].
    #[arg(long, value_name = "N")]
    min_item_count: Option<u64>,
    /// Drop users with fewer remaining interactions, then [default: 5].
    #[arg(long, value_name = "N")]
    min_user_count: Option<u64>,
    /// Drop users with fewer interactions before items are counted, too.
    #[arg(long)]
    short_users_first: bool,
    /// How users are split into training, validation and test [default: seed].
    #[arg(long, value_parser = one_of(&SplitBy::ALL, SplitBy::name, SplitBy::about))]
    split: Option<SplitBy>,
    /// The seed of a split by seed [default: 1].
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// A date, or a number in the log's unit. For a split by time: users whose last event is at or
    /// after it validate. For a split by cut: nothing at or after it trains; it validates.
    #[arg(long, value_name = "TIME", value_parser = time, allow_negative_numbers = true)]
    validation_from: Option<i64>,
    /// A date, or a number in the log's unit. For a split by time: users whose last event is at or
    /// after it test. For a split by cut: what is at or after it tests.
    #[arg(long, value_name = "TIME", value_parser = time, allow_negative_numbers = true)]
    test_from: Option<i64>,
    /// For a split by days: how many of the latest days test; times are dates or seconds.
    #[arg(long, value_name = "N")]
    test_days: Option<u32>,
    /// For a split by days or a given one: the event whose time is the user's [default: last].
    #[arg(long, value_name = "EVENT", value_parser = one_of(&Moment::ALL, Moment::name, |_| ""))]
    split_event: Option<Moment>,
    /// For a split by days or a given one: the share that validates of the users who do not test,
    /// the latest of them [default: 0.02].
    #[arg(long, value_name = "SHARE")]
    validation_share: Option<f64>,
    /// About one item in so many is cold: it leaves all sequences, and users whose last item is one
    /// are asked for it.
    #[arg(long, value_name = "N")]
    cold_one_in: Option<u32>,
    /// Which of these parts of the items is the cold one, from 0 [default: 0].
    #[arg(long, value_name = "N")]
    cold_part: Option<u32>,
    /// A file of what is known of items: CSV, TSV, Parquet or JSON lines, told by its name, gzipped
    /// or not (can be repeated).
    #[arg(long, value_name = "FILE")]
    items: Vec<PathBuf>,
    /// The column of the items' ids there [default: as in the log].
    #[arg(long, value_name = "COLUMN")]
    item_id: Option<String>,
    /// A field of items and its kind: category, categories, number or number:BUCKETS; without
    /// --items a column of the log (can be repeated).
    #[arg(long, value_name = "NAME=KIND", value_parser = field)]
    item_field: Vec<(String, FieldRule)>,
    /// Items that only --items tells of become items of the catalogue, too.
    #[arg(long)]
    keep_cold_items: bool,
    /// A file of what is known of users, like --items.
    #[arg(long, value_name = "FILE")]
    users: Vec<PathBuf>,
    /// The column of the users' ids there [default: as in the log].
    #[arg(long, value_name = "COLUMN")]
    user_id: Option<String>,
    /// A field of users and its kind, like --item-field.
    #[arg(long, value_name = "NAME=KIND", value_parser = field)]
    user_field: Vec<(String, FieldRule)>,
    /// Replace the folder if it exists.
    #[arg(long)]
    force: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn separator(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("\\t", ..) => Ok('\t'),
        (_, Some(character), None) => Ok(character),
        _ => Err("give one character".to_owned()),
    }
}

fn time(text: &str) -> Result<i64, String> {
    let wanted = "give a number, or a date like 2011-11-01 or 2011-11-01T12:00:00";
    data::parse_time(text).ok_or_else(|| wanted.to_owned())
}

fn keep(text: &str) -> Result<(String, Vec<String>), String> {
    let (column, values) = text.split_once('=').ok_or("give COLUMN=VALUE,VALUE,…")?;
    Ok((column.to_owned(), values.split(',').map(str::to_owned).collect()))
}

fn field(text: &str) -> Result<(String, FieldRule), String> {
    let (name, kind) = text.rsplit_once('=').ok_or("give NAME=KIND")?;
    Ok((name.to_owned(), FieldRule::parse(kind)?))
}

impl Prepare {
    pub fn run(self) -> Result<()> {
        let (out, force, json) = (self.out.clone(), self.force, self.json);
        let description = self.described()?;
        let out = match out {
            Some(out) => out,
            None => PathBuf::from("data").join(folder_name(&description.name)?),
        };
        refuse_foreign(&out, force, &Dataset::FOLDER)?;
        let source = &description.source;
        refuse_input(&out, &description)?;
        let from = |error: anyhow::Error, option| match description.homepage.as_str() {
            "" => error,
            from => {
                error.context(format!("get the data from {from} and name its file with {option}"))
            }
        };
        let size = source.size().map_err(|error| from(error, "--input"))?;
        for (known, option) in [(&description.items, "--items"), (&description.users, "--users")] {
            let there = known.as_ref().map_or(Ok(()), RecordSource::find);
            there.map_err(|error| from(error, option))?;
        }
        description.check()?;
        let claim = Claim::new(&out, force, &Dataset::FOLDER)?;

        let mut bar = Bar::of_bytes(size, "reading");
        let dataset = data::prepare_described(&description, &mut |done| {
            bar.set(done);
            if done == size {
                bar.message("preparing");
            }
        })?;
        bar.message("writing");
        dataset.write(claim)?;
        drop(bar);
        match json {
            true => summary::print_json(&dataset, &description, &out),
            false => summary::print(&dataset, &description, &out),
        }
    }

    /// The description with the options laid over it.
    fn described(self) -> Result<Description> {
        let mut all = match &self.description {
            Some(name) => Description::find(name)?,
            None => Description::default(),
        };
        if let Some(folder) = &self.raw {
            all.take_from(folder)?;
        }
        let source = &mut all.source;
        if !self.input.is_empty() {
            source.files = self.input;
        }
        if !self.test_input.is_empty() {
            source.test_files = self.test_input;
        }
        let Some(first) = source.files.first() else {
            misuse!("no log to read: give --input FILE, or a description that names files");
        };
        if all.name.is_empty() {
            let file = first.file_name().unwrap_or_default().to_string_lossy();
            all.name = file.split('.').next().unwrap_or_default().to_owned();
        }
        all.note_generated();
        lay_over(&mut all.name, self.name);
        let source = &mut all.source;
        source.format = self.format.or(source.format);
        source.user = self.user.or(source.user.take());
        source.item = self.item.or(source.item.take());
        source.time = self.time.or(source.time.take());
        source.day = self.day.or(source.day.take());
        source.events = self.events.or(source.events.take());
        source.separator = self.separator.or(source.separator);
        if self.no_header {
            source.header = false;
        }
        // Values given for one column belong together and stand for the description's.
        let mut keep: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (column, values) in self.keep {
            keep.entry(column).or_default().extend(values);
        }
        source.keep.extend(keep);
        lay_over(&mut all.rules.min_item_count, self.min_item_count);
        lay_over(&mut all.rules.min_user_count, self.min_user_count);
        all.rules.short_users_first |= self.short_users_first;
        if let Some(by) = self.split.filter(|by| *by != all.split.by) {
            // The settings of the description's split are not those of another one.
            all.split = data::SplitRule { by, ..Default::default() };
        }
        all.split.seed = self.seed.or(all.split.seed);
        all.split.validation_from = self.validation_from.or(all.split.validation_from);
        all.split.test_from = self.test_from.or(all.split.test_from);
        all.split.test_days = self.test_days.or(all.split.test_days);
        all.split.event = self.split_event.or(all.split.event);
        all.split.validation_share = self.validation_share.or(all.split.validation_share);
        all.split.cold_one_in = self.cold_one_in.or(all.split.cold_one_in);
        all.split.cold_part = self.cold_part.or(all.split.cold_part);
        records(&mut all.items, self.items, self.item_id, self.item_field, self.keep_cold_items);
        records(&mut all.users, self.users, self.user_id, self.user_field, false);
        Ok(all)
    }
}

/// Lays options over what is known of items or users.
fn records(
    known: &mut Option<RecordSource>,
    files: Vec<PathBuf>,
    id: Option<String>,
    fields: Vec<(String, FieldRule)>,
    keep_cold: bool,
) {
    if files.is_empty() && id.is_none() && fields.is_empty() && !keep_cold {
        return;
    }
    let known = known.get_or_insert_default();
    if !files.is_empty() {
        known.files = files;
    }
    known.id = id.or(known.id.take());
    known.fields.extend(fields);
    known.keep_cold |= keep_cold;
}

/// A data set's name as that of a folder in `data`, which it must not lead out of.
fn folder_name(name: &str) -> Result<&str> {
    let plain = !name.starts_with('.') && !name.contains(['/', '\\']);
    if name.is_empty() || !plain || name.chars().any(char::is_control) {
        misuse!("name: {name:?} cannot be a folder's name: give --out DIR, or another --name");
    }
    Ok(name)
}

/// Refuses to replace a folder whose files are read.
fn refuse_input(out: &Path, description: &Description) -> Result<()> {
    let Ok(out) = fs::canonicalize(out) else { return Ok(()) };
    let source = &description.source;
    let known = [&description.items, &description.users].into_iter().flatten();
    let known = known.flat_map(|known| &known.files);
    for file in source.files.iter().chain(&source.test_files).chain(known) {
        if fs::canonicalize(data::on_disk(file)).is_ok_and(|file| file.starts_with(&out)) {
            misuse!(
                "{} lies in the folder that would be replaced: choose another --out",
                file.display()
            );
        }
    }
    Ok(())
}

fn lay_over<T>(value: &mut T, option: Option<T>) {
    if let Some(option) = option {
        *value = option;
    }
}
