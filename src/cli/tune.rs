//! `croloss tune`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use toml::Table;

use super::sweep::gpus;
use super::sweep_progress::SweepProgress;
use super::table;
use crate::config::{Layer, Metric, explain};
use crate::error::Interrupted;
use crate::misuse;
use crate::reading;
use crate::signals::Signals;
use crate::sweep::{Next, Runner, SweepFile};
use crate::tune::{Entry, Found, Outcome, Record, Search, Whole, best_name, finals, said, write};

/// The space that is searched where none is given.
const LOSSES: &str = include_str!("../../configs/spaces/losses.toml");

/// Find the setting that is best for the list length you need
///
/// Draws points from a space of settings, of losses if none is given, trains each for a small share
/// of its steps, and goes on with the best third, again and again. The best by each metric is trained
/// under several seeds, beside cross-entropy. Called again it goes on; several machines may share
/// one folder.
#[derive(clap::Args)]
pub struct Tune {
    /// The configuration to start from, or a sweep file whose axes are lists or ranges
    config: PathBuf,
    /// What the best is looked for by, measured in validation: recall@200, ndcg@10 (can be repeated)
    #[arg(long = "for", value_name = "METRIC", required = true)]
    metrics: Vec<Metric>,
    /// The space: a sweep file without a base [default: losses, configs/spaces/losses.toml]
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// How many points are drawn, the configuration itself being the first
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    points: u16,
    /// Begin nothing more of the search after this long: 90m, 2h
    #[arg(long, value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
    /// Points side by side; they share the cores, and take one GPU each where there are several
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Put a value in place of every point's: --set data.path=data/mine
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The folder of the search [default: runs/tune-NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Print found.json in place of what is found in words
    #[arg(long)]
    json: bool,
}

impl Tune {
    pub fn run(mut self) -> Result<()> {
        let mut known = HashSet::new();
        self.metrics.retain(|metric| known.insert(*metric));
        let file = self.file()?;
        let out = match &self.out {
            Some(out) => out.clone(),
            None => {
                let name = self.config.file_stem().unwrap_or_default().to_string_lossy();
                PathBuf::from("runs").join(format!("tune-{name}"))
            }
        };
        let points = usize::from(self.points);
        let search = Search::new((&file, self.seed), &self.metrics, points, &out)?;
        let drawn = search.points.len();
        if drawn < points {
            table::note(format_args!("The space holds no more than {drawn} different points"));
        }
        let entries = search.points.iter().map(Entry::of).collect();
        let mut record = Record::new(self.metrics.clone(), entries);
        record.open(&out)?;
        let signals = Signals::listen()?;
        let jobs = usize::from(self.jobs);
        let runner = Runner { runs: out.clone(), jobs, gpus: gpus(&search.points) };
        let run = |parts, next: &mut dyn FnMut() -> Result<Next>| -> Result<usize> {
            let mut progress = SweepProgress::new(parts, jobs);
            let ran = runner.run_tasks(next, &signals, &mut |event| progress.hear(event));
            drop(progress);
            ran.map_err(|error| match error.downcast::<Interrupted>() {
                Ok(interrupted) => anyhow!("the same command goes on with it").context(interrupted),
                Err(error) => error,
            })
        };
        let mut search = search.within(self.budget);
        run(search.parts_left(), &mut || search.next_task())?;
        let best = finals(&file, &search, &self.metrics)?;
        record.finals = best.iter().map(|own| own.iter().map(Entry::of).collect()).collect();
        record.write(&out)?;
        let last = best.concat();
        let mut whole = Whole::new(&out, &last);
        let failed = run(whole.left(), &mut || whole.next_task())?;
        report(&out, self.json)?;
        if failed > 0 {
            bail!("{failed} runs of the best and of what they are compared with failed");
        }
        Ok(())
    }

    /// The sweep file that is given, or the space over the configuration that is given; measured at
    /// the Ns that are asked for, and stopped by the metric of the largest: the one whose best comes
    /// last.
    fn file(&self) -> Result<SweepFile> {
        let Some(monitor) = self.metrics.iter().max_by_key(|metric| metric.at) else {
            misuse!("--for: name a metric");
        };
        if let Some(set) = self.sets.iter().find(|set| set.starts_with("train.monitor")) {
            misuse!("--set {set}: what is monitored is what --for asks for");
        }
        let plain = self.with(&self.sets)?;
        let config = plain.base(&Layer::default())?;
        if let Some(other) =
            self.metrics.iter().find(|own| !config.evaluation.protocol.kinds().contains(&own.kind))
        {
            misuse!(
                "--for {other}: evaluation.protocol = \"{}\" does not measure it",
                config.evaluation.protocol.name()
            );
        }
        let mut at = config.evaluation.at;
        at.extend(self.metrics.iter().map(|metric| metric.at));
        at.sort_unstable();
        at.dedup();
        let mut sets = self.sets.clone();
        sets.extend([format!("evaluation.at={at:?}"), format!("train.monitor={monitor}")]);
        self.with(&sets)
    }

    fn with(&self, sets: &[String]) -> Result<SweepFile> {
        let path = &self.config;
        let text =
            reading::text(path).with_context(|| format!("cannot read {}", path.display()))?;
        let table: Table = text.parse().map_err(|error| explain(path, &text, &error))?;
        if table.contains_key("grid") {
            if self.space.is_some() {
                misuse!("{} is a sweep file, a space itself: leave --space out", path.display());
            }
            return SweepFile::load(path, sets);
        }
        match &self.space {
            Some(space) => {
                let text = reading::text(space)
                    .with_context(|| format!("cannot read the space {}", space.display()))?;
                SweepFile::space(space, &text, table, sets)
            }
            None => SweepFile::space(Path::new("configs/spaces/losses.toml"), LOSSES, table, sets),
        }
    }
}

/// Writes and prints what the search in `folder` has come to.
pub fn report(folder: &Path, as_json: bool) -> Result<()> {
    let outcome = Outcome::read(folder)?;
    let written = write(&outcome, folder)?;
    if as_json {
        return table::say_json(&Found::of(&outcome));
    }
    for paragraph in said(&outcome) {
        table::say(format_args!("{paragraph}\n"))?;
    }
    let of_finals = outcome.finals.iter().map(|one| folder.join(best_name(one.metric)));
    for path in of_finals {
        table::say(format_args!("To train it: croloss train {} --out runs/best", path.display()))?;
    }
    let page = written.last().map_or(folder, PathBuf::as_path);
    table::say(format_args!("{} steps of the search, told in {}", outcome.steps(), page.display()))
}
