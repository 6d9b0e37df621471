//! `croloss init`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::table;
use crate::data::{Guess, Sample};
use crate::files;
use crate::misuse;

/// How many values of a column are shown.
const SHOWN: usize = 3;

/// Look at the first rows of a log and write the description by which it is prepared
///
/// Columns are guessed by their names and first values, and said: look at them before you go on.
#[derive(clap::Args)]
pub struct Init {
    /// The log: CSV, TSV, Parquet, JSON lines, pairs or sequences, gzipped or not
    log: PathBuf,
    /// The description to write [default: NAME.toml, of the log's name]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl Init {
    pub fn run(self) -> Result<()> {
        let name = name_of(&self.log);
        let out = self.out.unwrap_or_else(|| format!("{name}.toml").into());
        files::refuse_existing(&out, self.force)?;
        let guess = Guess::of(&self.log)?;
        table::say(format_args!("{}: {}", self.log.display(), guess.look.format.about()))?;
        if !guess.look.header {
            table::say("Its first line names no columns: they are called 1, 2, and so on.")?;
        }
        if !guess.look.columns.is_empty() {
            let head = ["column", "taken for", "first values"].map(String::from);
            // What is not read is shown, so that a time which is there is not taken for one that is not.
            let unread = guess.look.unread.iter();
            let unread = unread.map(|(name, kind)| {
                [name.clone(), String::new(), format!("cannot be read: {kind}")]
            });
            table::print(std::iter::once(head).chain(rows(&guess)).chain(unread))?;
        }
        let described = description(&guess, &self.log, &name);
        files::make_folder_of(&out)?;
        files::write_file(&out, described)?;
        let out = out.display();
        if !guess.look.columns.is_empty() && guess.time.is_none() {
            table::say("No column is taken for the time: the order of the log is that of time.")?;
        }
        let missing = [("users", guess.user), ("items", guess.item)]
            .into_iter()
            .find(|(_, place)| !guess.look.columns.is_empty() && place.is_none());
        if let Some((what, _)) = missing {
            misuse!("which column holds the {what} could not be guessed: fill it in in {out}");
        }
        table::say(format_args!(
            "\nWritten to {out}: look whether the columns are right. Then:\n\
             \n  croloss prepare {out}\
             \n  croloss baseline data/{name}\
             \n  croloss train configs/default.toml --set data.path=data/{name} --out runs/{name}"
        ))
    }
}

/// The columns, what each is taken for, and its first values.
fn rows(guess: &Guess) -> Vec<[String; 3]> {
    let list = guess.events.map(|place| &guess.look.lists[place]);
    let (user, of_event) = (("user", guess.user), [("item", guess.item), ("time", guess.time)]);
    let of_line = match list {
        Some(_) => vec![user],
        None => [&[user], &of_event[..]].concat(),
    };
    let row = |name: String, taken_for: &str, values: &[String]| {
        let shown: Vec<&str> = values.iter().take(SHOWN).map(String::as_str).collect();
        [name, taken_for.into(), crate::error::cut(&shown.join(", "), 60)]
    };
    let role = |roles: &[(&'static str, Option<usize>)], place| {
        roles.iter().find(|(_, own)| *own == Some(place)).map_or("", |(role, _)| *role)
    };
    let mut rows = vec![];
    for (place, (name, values)) in guess.look.columns.iter().enumerate() {
        match list.filter(|(key, _)| key == name) {
            Some((key, columns)) => {
                rows.push(row(name.clone(), "events", &[]));
                for (place, (name, values)) in columns.iter().enumerate() {
                    rows.push(row(format!("{key}: {name}"), role(&of_event, place), values));
                }
            }
            None => rows.push(row(name.clone(), role(&of_line, place), values)),
        }
    }
    rows
}

/// What the log's data set is called: its file's name up to the first dot.
fn name_of(log: &Path) -> String {
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    if name.is_empty() { "mine".into() } else { name }
}

fn description(guess: &Guess, log: &Path, name: &str) -> String {
    let look = &guess.look;
    let quoted = |text: &str| toml::Value::String(text.into()).to_string();
    let mut text = format!(
        "# Written by croloss init after a look at the first rows: what is guessed is to be confirmed.\n\
         # Every key: docs/data.md.\n\n\
         name = {}\n\n[source]\nfiles = [{}]\nformat = {}\n",
        quoted(name),
        quoted(&log.display().to_string()),
        quoted(look.format.name())
    );
    if let Some(separator) = look.separator {
        let _ = writeln!(text, "separator = {}", quoted(&separator.to_string()));
    }
    if !look.header {
        text += "header = false\n";
    }
    if !look.columns.is_empty() {
        let names = |columns: &[Sample]| {
            columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let _ = match guess.events.map(|place| &look.lists[place]) {
            Some((list, columns)) => writeln!(
                text,
                "events = {}  # guessed: of one user's events a line\n\
                 # The keys of a line: {}; of an event: {}.",
                quoted(list),
                names(&look.columns),
                names(columns)
            ),
            None => writeln!(text, "# The columns: {}.", names(&look.columns)),
        };
        for (role, columns, place, what) in [
            ("user", &look.columns[..], guess.user, "who"),
            ("item", guess.of_event(), guess.item, "what"),
            (
                "time",
                guess.of_event(),
                guess.time,
                "when; without it the order of the log is the order of time",
            ),
        ] {
            let _ = match place {
                Some(place) => {
                    writeln!(text, "{role} = {}  # guessed: {what}", quoted(&columns[place].0))
                }
                None => writeln!(text, "# {role} = \"COLUMN\"  # {what}"),
            };
        }
    }
    text + "\n# Rarer items, and then users with fewer interactions, are dropped.\n\
            [rules]\nmin_item_count = 5\nmin_user_count = 5\n\n\
            # Users are dealt out to training, validation and test. Others: \"leave-one-out\", \"cut\", \"time\".\n\
            [split]\nby = \"seed\"\n"
}
