//! `croloss train`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;
use std::{process, thread};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::complain;
use super::device::note_missing_gpu;
use super::known_baselines::{self, KnownBaselines};
use super::results::{self, MetricRow};
use super::run_progress::RunProgress;
use super::table::{self, Told};
use crate::config::{self, Metric};
use crate::data::{Dataset, Manifest, Split};
use crate::error::{Interrupted, Paused, exit_status};
use crate::ranks::{self, Shard, Team};
use crate::signals::Signals;
use crate::train::{Asked, Event, Start, train_with};

/// Train by a configuration, and test the weights that were best in validation
#[derive(clap::Args)]
pub struct Train {
    /// The configuration, for example configs/default.toml
    config: PathBuf,
    /// The run folder to make: configuration, logs, weights, result.json
    #[arg(long)]
    out: PathBuf,
    /// Put a value in place of the configuration's: --set loss.alpha=1.2 (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Replace the run that stands at --out
    #[arg(long)]
    force: bool,
    /// Go on with the run at --out that was cut off, from its latest checkpoint
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Start from the best weights of this run, by the items' ids in the log; the same as
    /// --set train.warm_start=RUN
    #[arg(long, value_name = "RUN")]
    warm_start: Option<PathBuf>,
    /// End with a checkpoint behind this share of the steps, at the next validation: 0.25;
    /// --resume goes on with it
    #[arg(long, value_name = "SHARE", value_parser = share)]
    until: Option<f64>,
    /// At the end, show how many milliseconds a step each part of the work took
    #[arg(long)]
    profile: bool,
    /// Print result.json instead of tables
    #[arg(long)]
    json: bool,
}

impl Train {
    pub fn run(self) -> Result<()> {
        let team = ranks::join()?;
        if !team.is_first() {
            table::tell(Told::Least);
        }
        if team.is_alone() {
            return self.train(&team);
        }
        let done = catch_unwind(AssertUnwindSafe(|| self.train(&team)));
        // What it was is said already, by the hook of panics.
        end_together(&team, done.unwrap_or_else(|_| bail!("it cannot go on")))
    }

    fn train(self, team: &Team) -> Result<()> {
        let start = match (self.force, self.resume) {
            (_, true) => Start::Resumed,
            (true, false) => Start::Anew,
            (false, false) => Start::New,
        };
        if team.is_first() {
            start.check(&self.out)?;
        }
        let load = || {
            let mut config = config::load(&self.config, &self.sets, Manifest::size_of)?;
            if self.warm_start.is_some() {
                config.train.warm_start = self.warm_start.clone();
            }
            let dataset = Dataset::load(&config.data.path)
                .with_context(|| format!("data.path in {}", self.config.display()))?;
            Ok((config, dataset))
        };
        let (config, dataset) = team.agree(load())?;
        if team.is_first() {
            note_missing_gpu(config.device);
        }
        table::detail(toml::to_string(&config)?);
        let mut progress = RunProgress::new();
        let mut parts = vec![];
        let signals = Signals::listen()?;
        let asked = Asked { start, out: &self.out, until: self.until };
        let outcome = train_with(team, &config, &dataset, asked, &signals, &mut |event| {
            if !team.is_first() {
                return;
            }
            if let Event::Trained { steps, profile } = &event {
                let share = 1.0 / (*steps).max(1) as f64;
                parts = profile.milliseconds();
                parts.iter_mut().for_each(|(_, ms)| *ms *= share);
            }
            progress.hear(event);
        });
        progress.finish();
        let outcome = match outcome {
            Err(error) => match error.downcast_ref::<Paused>() {
                Some(_) if !team.is_first() => return Ok(()),
                Some(Paused { step, steps }) if self.json => {
                    return table::say_json(&json!({ "paused": { "step": step, "steps": steps } }));
                }
                Some(_) => return table::say(format_args!("{error:#}")),
                None => return Err(error),
            },
            Ok(outcome) => outcome,
        };
        if !team.is_first() {
            return Ok(());
        }
        if self.json {
            return table::say_json(&outcome);
        }
        if self.profile {
            for (part, ms) in parts {
                table::say(format_args!("{ms:>10.3} ms a step: {part}"))?;
            }
        }
        let measured = !outcome.test.is_empty();
        let best = match measured {
            true => format!("; best at step {}", outcome.best_step),
            false => String::new(),
        };
        table::say(format_args!(
            "{} steps in {:.1} s of training, {:.1} s in all, on {} with {} threads{best}",
            outcome.steps, outcome.train_seconds, outcome.seconds, outcome.device, outcome.threads,
        ))?;
        if measured {
            let asked = known_baselines::asked(&config, Split::Test);
            let (data, checksum) = (&config.data.path, &dataset.manifest.checksum);
            let known = KnownBaselines::of(data, checksum, asked);
            let targets = outcome.test_groups.targets() as usize;
            let counts = [outcome.test_users, targets, outcome.test_unrankable];
            results::say_measured(Split::Test, counts, &outcome.protocol)?;
            let row = |name: &str, metrics: &[(Metric, f64)]| MetricRow {
                name: name.into(),
                metrics: metrics.to_vec(),
                cold: None,
            };
            let mut rows = vec![row("validation", &outcome.validation), row("test", &outcome.test)];
            rows.extend(known.rows(true));
            results::print(&rows)?;
            if let Some(cold) = &outcome.test_cold {
                results::print_cold(cold)?;
            }
            known.say_verdict(data, config.train.monitor, &outcome.test)?;
        } else {
            table::say(
                "Nothing was measured: the dataset is all training (split.by = \"none\"). The \
                 weights of the last step are kept",
            )?;
        }
        table::say(format_args!("Run folder: {}", self.out.display()))
    }
}

/// Ends what ranks do together: well where all have come to its end, else all of them at once, since
/// the others wait for one that has failed. Only the first speaks where all have the same to say.
fn end_together(team: &Team, done: Result<()>) -> Result<()> {
    /// What the first is given to speak before another one does.
    const FIRST: Duration = Duration::from_secs(10);
    let Err(error) = done else {
        team.part();
        return done;
    };
    let (Shard { rank, ranks }, status) = (team.shard(), exit_status(&error));
    if error.is::<Interrupted>() {
        // All have heard of it, and kept what they have.
        team.part();
        if !team.is_first() {
            process::exit(status.into());
        }
        return Err(error);
    }
    if !team.is_first() {
        thread::sleep(FIRST);
    }
    complain(format_args!("rank {rank} of {ranks}: {error:#}"));
    team.abort(status.into());
    Err(error)
}

/// A share of a whole, above 0 and up to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "write a share above 0 and up to 1, for example 0.25".into())
}
