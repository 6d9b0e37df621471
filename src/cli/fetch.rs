//! `croloss fetch`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::progress::Bar;
use super::table;
use crate::data::{Description, RawFile};
use crate::fetch::{self, Fetched, MOST};
use crate::misuse;

/// Downloads a known data set, where its owner lets programs do that; else says where it is offered
/// and what to do there.
///
/// A download that breaks off is gone on with where it broke, by itself or when the command is called
/// again. A file gets its name when it is whole and its checksum is right; one that is there is
/// never replaced.
#[derive(clap::Args)]
pub struct Fetch {
    /// The description of a data set: its name (movielens-1m), or a file.
    #[arg(value_name = "DESCRIPTION")]
    description: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR", default_value = "data/raw")]
    to: PathBuf,
}

impl Fetch {
    pub fn run(self) -> Result<()> {
        let description = Description::find(&self.description)?;
        description.check()?;
        let mut by_hand = vec![];
        for raw in &description.raw {
            if raw.url.is_none() && !self.to.join(&raw.name).exists() {
                by_hand.push(raw.name.as_str());
                continue;
            }
            let what = match self.fetch(raw, &description.homepage)? {
                Fetched::There => "is there already",
                Fetched::New => "was downloaded",
            };
            table::say(format_args!("{} {what}", self.to.join(&raw.name).display()))?;
        }
        let (name, to) = (self.description.display(), self.to.display());
        if description.raw.is_empty() || !by_hand.is_empty() {
            if description.homepage.is_empty() {
                misuse!("{name} does not say where its files are offered");
            }
            table::say(format_args!("{}: {}", description.name, description.about))?;
            table::say(format_args!("offered at {}", description.homepage))?;
            table::say(format_args!("licence: {}", description.licence))?;
            let here = format!("put what you have got into {to}");
            let prepare = format!("croloss prepare {name} --raw {to}");
            for (number, step) in (1..).zip(description.steps.iter().chain([&here, &prepare])) {
                table::say(format_args!("{number}. {step}"))?;
            }
            bail!("{} is not downloaded by a program: take the steps above", description.name);
        }
        table::say(format_args!("next: croloss prepare {name} --raw {to}"))
    }

    fn fetch(&self, raw: &RawFile, homepage: &str) -> Result<Fetched> {
        let mut bar = None;
        let fetched = fetch::fetch(raw, &self.to, MOST, &mut |done, total| {
            let bar = bar.get_or_insert_with(|| match total {
                Some(total) => Bar::of_bytes(total, format!("fetching {}", raw.name)),
                None => Bar::of_unknown_bytes(format!("fetching {}, of unknown size", raw.name)),
            });
            bar.set(done);
        });
        drop(bar);
        let page = match homepage {
            "" => String::new(),
            page => format!(" (its page: {page})"),
        };
        let cannot = || format!("{} could not be fetched{page}", raw.name);
        fetched.with_context(cannot)
    }
}
