//! `croloss watch`.

mod cells;
mod chart;
mod columns;
mod plain;
mod screen;
mod terminal;

use std::io::{IsTerminal, stdout};
use std::iter::once;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::table;
use crate::config::Metric;
use crate::misuse;
use crate::watch::{State, Watched};

/// The shortest time between two looks.
const LEAST: Duration = Duration::from_millis(100);

/// Show the learning curves of trainings, and how far they are
///
/// It only reads, so a run may be watched at any time, on any machine that sees its folder. Without
/// a terminal it prints a line for each validation and each end, and ends when nobody trains any more.
#[derive(clap::Args)]
pub struct Watch {
    /// Run folders, or the folders of sweeps and searches: runs/mine, runs/tune-default
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The metric of validation to show: ndcg@20 [default: train.monitor]
    #[arg(long)]
    metric: Option<Metric>,
    /// The time between two looks: 500ms, 10s, 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Print the table once, and end
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub fn run(self) -> Result<()> {
        if self.every < LEAST {
            misuse!("--every: nothing is seen sooner than after {} ms", LEAST.as_millis());
        }
        let watched = Watched::open(&self.runs)?;
        self.check_metric(&watched)?;
        // One that cannot move its cursor is as good as none.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (self.once, stdout().is_terminal() && !dumb) {
            (true, _) => self.print(&watched),
            (false, true) => terminal::show(watched, self.metric, self.every),
            (false, false) => plain::follow(watched, self.metric, self.every),
        }
    }

    /// Refuses a metric that none of the runs is measured by.
    fn check_metric(&self, watched: &Watched) -> Result<()> {
        let (Some(metric), known) = (self.metric, watched.metrics()) else { return Ok(()) };
        if known.is_empty() || known.contains(&metric) {
            return Ok(());
        }
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        misuse!("--metric {metric}: no run is measured by it, but by {}", known.join(", "))
    }

    fn print(&self, watched: &Watched) -> Result<()> {
        let metric = self.metric.or_else(|| watched.monitor());
        let runs = watched.in_order();
        if !runs.is_empty() {
            let rows = runs.iter().map(|run| cells::cells(run, metric));
            table::print(once(cells::heads(metric)).chain(rows))?;
        }
        table::say(cells::summary(watched.runs()))?;
        for run in runs {
            if let State::Failed(reason) = &run.state {
                table::say(format_args!("{}: failed: {reason}", run.name))?;
            }
        }
        Ok(())
    }
}
