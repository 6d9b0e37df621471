//! `croloss generate`.

use std::path::PathBuf;

use anyhow::Result;

use super::choice::one_of;
use super::progress::Bar;
use super::table::{self, count};
use crate::data::{self, Preset};
use crate::files;

/// Writes a generated interaction log: users whose tastes drift, over items of Zipf popularity.
///
/// The log is CSV with the columns user, item and time (seconds). The same preset and seed make
/// the same bytes.
#[derive(clap::Args)]
pub struct Generate {
    /// How large the log is.
    #[arg(long, value_parser = one_of(&Preset::ALL, Preset::name, Preset::about))]
    preset: Preset,
    /// The file to write; gzipped if its name ends with .gz.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Another seed makes another log of the same kind.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Users, where not those of the preset.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    users: Option<u32>,
    /// Items, where not those of the preset.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    items: Option<u32>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

impl Generate {
    pub fn run(self) -> Result<()> {
        files::refuse_existing(&self.out, self.force)?;
        let mut size = self.preset.size();
        size.users = self.users.unwrap_or(size.users);
        size.items = self.items.unwrap_or(size.items);
        let mut bar = Bar::new(u64::from(size.users), "generating users");
        let events = data::generate(&size, self.seed, &self.out, &mut |done| bar.set(done))?;
        drop(bar);
        table::print([
            ["users".into(), count(size.users)],
            ["items".into(), count(size.items)],
            ["interactions".into(), count(events)],
            ["written to".into(), self.out.display().to_string()],
        ])
    }
}
