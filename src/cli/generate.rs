//! `croloss generate`.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::choice::one_of;
use super::progress::Bar;
use super::table::{self, count};
use crate::data::{self, Like, Preset, Size, Written};
use crate::{files, misuse};

/// Writes a generated interaction log: users whose tastes drift, over items of Zipf popularity.
///
/// With --preset it is CSV with the columns user, item and time (seconds). With --like it is what the
/// owner of a published data set hands out: the same columns, the same form, as many users, items and
/// interactions. The same options make the same bytes.
#[derive(clap::Args)]
pub struct Generate {
    /// How large the log is.
    #[arg(
        long,
        required_unless_present = "like",
        value_parser = one_of(&Preset::ALL, Preset::name, Preset::about),
    )]
    preset: Option<Preset>,
    /// The data set in whose raw format the log is.
    #[arg(
        long,
        conflicts_with_all = ["preset", "users", "items"],
        value_parser = one_of(&Like::ALL, Like::name, Like::about),
    )]
    like: Option<Like>,
    /// With --like: how much of everything, as a part of what the data set has.
    #[arg(long, value_name = "SHARE", requires = "like", default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// The file to write, gzipped if its name ends with .gz; with --like the folder.
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
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "give a number, like 0.01")?;
    match scale > 0.0 && scale <= 10.0 {
        true => Ok(scale),
        false => Err("give more than 0, and at most 10".into()),
    }
}

impl Generate {
    pub fn run(self) -> Result<()> {
        match (self.like, self.preset) {
            (Some(like), _) => self.like(like),
            (None, Some(preset)) => self.preset(preset),
            (None, None) => misuse!("give --preset or --like"),
        }
    }

    fn preset(self, preset: Preset) -> Result<()> {
        files::refuse_existing(&self.out, self.force)?;
        let mut size = preset.size();
        size.users = self.users.unwrap_or(size.users);
        size.items = self.items.unwrap_or(size.items);
        files::make_folder_of(&self.out)?;
        let mut bar = Bar::new(u64::from(size.users), "generating users");
        let events = data::generate(&size, self.seed, &self.out, &mut |done| bar.set(done))?;
        drop(bar);
        if self.json {
            let Size { users, items, .. } = size;
            return table::say_json(
                &json!({ "users": users, "items": items, "events": events, "files": [self.out] }),
            );
        }
        table::print([
            ["users".into(), count(size.users)],
            ["items".into(), count(size.items)],
            ["interactions".into(), count(events)],
            ["written to".into(), self.out.display().to_string()],
        ])
    }

    fn like(self, like: Like) -> Result<()> {
        for file in like.files(&self.out) {
            files::refuse_existing(&file, self.force)?;
        }
        let mut bar = None;
        let written =
            data::generate_like(like, self.scale, self.seed, &self.out, &mut |done, all| {
                bar.get_or_insert_with(|| Bar::new(all, "generating users")).set(done);
            })?;
        drop(bar);
        if self.json {
            let Written { users, items, events, files } = &written;
            return table::say_json(
                &json!({ "users": users, "items": items, "events": events, "files": files }),
            );
        }
        let name = like.name();
        let mut rows = vec![
            ["GENERATED, in the raw format of".into(), name.to_owned()],
            ["users".into(), count(written.users)],
            ["items".into(), count(written.items)],
            ["events".into(), count(written.events)],
        ];
        for file in &written.files {
            rows.push(["written to".into(), file.display().to_string()]);
        }
        table::print(rows)?;
        table::say(format_args!("next: croloss prepare {name} --raw {}", self.out.display()))
    }
}
