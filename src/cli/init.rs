//! `croloss init`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::table;
use crate::data::{Format, Guess};
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
        let columns = &guess.look.columns;
        let role = |place: usize| {
            let roles = [("user", guess.user), ("item", guess.item), ("time", guess.time)];
            roles.into_iter().find(|(_, own)| *own == Some(place)).map_or("", |(role, _)| role)
        };
        table::say(format_args!("{}: {}", self.log.display(), guess.look.format.about()))?;
        if !columns.is_empty() {
            let head = ["column", "taken for", "first values"].map(String::from);
            let row = |(place, (name, values)): (usize, &(String, Vec<String>))| {
                let shown: Vec<&str> = values.iter().take(SHOWN).map(String::as_str).collect();
                [name.clone(), role(place).into(), crate::error::cut(&shown.join(", "), 60)]
            };
            table::print(std::iter::once(head).chain(columns.iter().enumerate().map(row)))?;
        }
        let described = description(&guess, &self.log, &name);
        files::write_file(&out, described)?;
        let out = out.display();
        let missing = [("users", guess.user), ("items", guess.item)]
            .into_iter()
            .find(|(_, place)| !columns.is_empty() && place.is_none());
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
    if !look.columns.is_empty() {
        let names: Vec<&str> = look.columns.iter().map(|(name, _)| name.as_str()).collect();
        let _ = writeln!(text, "# The columns: {}.", names.join(", "));
        for (role, place, what) in [
            ("user", guess.user, "who"),
            ("item", guess.item, "what"),
            ("time", guess.time, "when; without it the order of the log is the order of time"),
        ] {
            let _ = match place {
                Some(place) => {
                    writeln!(text, "{role} = {}  # guessed: {what}", quoted(names[place]))
                }
                None => writeln!(text, "# {role} = \"COLUMN\"  # {what}"),
            };
        }
    }
    if look.format == Format::JsonLines
        && let Some((list, _)) = look.columns.iter().find(|(_, values)| values[0].starts_with("[{"))
    {
        let _ = writeln!(
            text,
            "# `{list}` holds lists. Of one user's events a line: events = {}, and item and time are keys\n\
             # of each event.",
            quoted(list)
        );
    }
    text + "\n# Rarer items, and then users with fewer interactions, are dropped.\n\
            [rules]\nmin_item_count = 5\nmin_user_count = 5\n\n\
            # Users are dealt out to training, validation and test. Others: \"leave-one-out\", \"cut\", \"time\".\n\
            [split]\nby = \"seed\"\nseed = 1\n"
}
