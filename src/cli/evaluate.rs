//! `croloss evaluate`.

use std::path::PathBuf;

use anyhow::Result;

use super::choice::one_of;
use super::progress::Bar;
use super::results::{self, MetricRow};
use super::table;
use crate::config::{Protocol, Seen};
use crate::data::Split;
use crate::train::{Event, TrainedRun};

/// Rank the catalogue with a run's best weights and measure
#[derive(clap::Args)]
pub struct Evaluate {
    /// A run folder that `croloss train` made
    run: PathBuf,
    /// The users that are ranked for
    #[arg(long, value_parser = one_of(&Split::ALL, Split::name, |_| ""), default_value = "test")]
    split: Split,
    /// Put a value in place of the run's: --set evaluation.seen=exclude (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let run = TrainedRun::open(&self.run, &self.sets)?;
        let part = self.split;
        let session = run.session()?;
        let model = run.model(&session)?;
        let users = run.dataset.users_of(part).len() as u64;
        let mut bar = Bar::new(users, format!("ranking for {} users", part.name()));
        let metrics = session.evaluate(&model, part, &mut |event| {
            if let Event::Ranking { done, .. } = event {
                bar.set(done);
            }
        })?;
        drop(bar);
        let row = MetricRow { name: part.name().into(), metrics: metrics.means() };
        if self.json {
            return table::say(serde_json::to_string_pretty(&row)?);
        }
        let once = match run.config.evaluation.protocol {
            Protocol::Holdout => ", a user's repeats counted once",
            Protocol::Positions => "",
        };
        let (users, targets) = (metrics.users(), metrics.targets());
        table::say(format_args!(
            "{users} users of the {} part, {targets} targets{once}",
            part.name()
        ))?;
        if run.config.evaluation.seen == Seen::Exclude {
            table::say(
                "Items of a user's history are not ranked, unless they are targets: seen targets \
                 stay to be found, and no user is left out for having no new ones",
            )?;
        }
        table::say("")?;
        results::print(&[row])
    }
}
