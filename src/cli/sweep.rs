//! `croloss sweep`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::sweep_progress::SweepProgress;
use super::table::{self, count};
use crate::device;
use crate::error::Interrupted;
use crate::misuse;
use crate::report;
use crate::signals::Signals;
use crate::sweep::{Filter, Point, PointResult, Runner, Shard, Status, SweepFile, collect};
use crate::train::RunFolder;

/// Train every point of a sweep file that has no result yet.
///
/// Each point is one run folder, known by its effective configuration: a second call runs only
/// what is missing, has failed, or has changed, and goes on with what was cut off. Points run as
/// processes of their own; one that fails is recorded with its reason and the others go on.
#[derive(clap::Args)]
pub struct Sweep {
    /// The sweep file, for example experiments/amazon-beauty.toml
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Points side by side; they share the cores, and take one GPU each where there are several and
    /// the device is auto or cuda (cuda:1 is that one for all)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Run every n-th point only, from the i-th on, to spread a sweep over machines
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Run only points with this value: --only loss.kernel=softplus, --only grid=table3
    #[arg(long, value_name = "KEY=VALUE")]
    only: Vec<Filter>,
    /// Say what would be run, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON in place of the last line
    #[arg(long, conflicts_with = "dry_run")]
    json: bool,
}

/// Which runs of a sweep file are meant.
#[derive(clap::Args)]
pub struct Chosen {
    /// Put a value in place of every point's: --set train.steps=1000
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Where the run folders are, and results.csv and .parquet [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
}

/// The folder of a sweep's runs: the one that is given, or runs/NAME.
pub fn runs_folder(given: Option<PathBuf>, sweep: &SweepFile) -> PathBuf {
    given.unwrap_or_else(|| PathBuf::from("runs").join(sweep.name()))
}

/// The folder of the one dataset that all of `points`, of the sweep file `file`, are about.
///
/// # Errors
/// [`crate::error::Misuse`] where there are several.
pub fn one_dataset<'a>(file: &Path, points: &'a [Point]) -> Result<&'a Path> {
    let mut folders: Vec<&Path> =
        points.iter().map(|point| point.config.data.path.as_path()).collect();
    folders.sort();
    folders.dedup();
    match folders[..] {
        [folder] => Ok(folder),
        _ => misuse!(
            "{}: what is measured on different datasets does not compare: make a sweep file for each",
            file.display()
        ),
    }
}

impl Sweep {
    pub fn run(self) -> Result<()> {
        let sweep = SweepFile::load(&self.file, &self.chosen.sets)?;
        let all = sweep.points()?;
        let runs = runs_folder(self.chosen.runs, &sweep);
        let mut chosen = Filter::apply(&self.only, all.clone())?;
        if let Some(shard) = self.shard {
            chosen = shard.apply(chosen);
        }
        let results = collect(&chosen, &runs)?;
        if self.dry_run {
            return list(&results);
        }
        let is_open = |point: &PointResult| point.result().is_none();
        let mut done = results.iter().filter(|point| !is_open(point));
        done.try_for_each(|point| RunFolder::tidy(&point.run))?;
        let open: Vec<Point> = chosen
            .iter()
            .zip(&results)
            .filter(|(_, r)| is_open(r))
            .map(|(p, _)| p.clone())
            .collect();
        let jobs = usize::from(self.jobs).min(open.len().max(1));
        let runner = Runner { runs: runs.clone(), jobs, gpus: gpus(&open) };
        let mut progress = SweepProgress::new(open.len(), jobs);
        let signals = Signals::listen()?;
        let ran = runner.run(&open, &signals, &mut |event| progress.hear(event));
        drop(progress);
        report::write_results(&collect(&all, &runs)?, &runs)?;
        let failed = ran.map_err(|error| match error.downcast::<Interrupted>() {
            Ok(interrupted) => anyhow!("the same command goes on with it").context(interrupted),
            Err(error) => error,
        })?;
        let (had, written) = (chosen.len() - open.len(), runs.join("results.csv"));
        if self.json {
            table::say_json(&json!({
                "points": chosen.len(),
                "had_a_result": had,
                "ran": open.len(),
                "failed": failed,
                "results": written,
            }))?;
        } else {
            table::say(format_args!(
                "{} points: {had} had a result, {} ran, {failed} of them failed; results in {}",
                count(chosen.len() as u64),
                open.len(),
                written.display(),
            ))?;
        }
        if failed > 0 {
            bail!("{failed} points failed: the column `reason` of results.csv says why");
        }
        Ok(())
    }
}

/// The GPUs that jobs are spread over; CUDA is not even loaded for a sweep that names its devices.
pub fn gpus(points: &[Point]) -> usize {
    match points.iter().any(|point| point.config.device.is_open()) {
        true => device::gpu_count(),
        false => 0,
    }
}

fn list(results: &[PointResult]) -> Result<()> {
    let line = |result: &PointResult| {
        let status = match (&result.status, RunFolder::last_checkpoint(&result.run)) {
            (Status::Done(_), _) => "done".into(),
            (_, Some(step)) => format!("to go on from step {step}"),
            (Status::Missing, None) => "to run".into(),
            (Status::Failed(_), None) => "to run again".into(),
        };
        [result.run.file_name().unwrap_or_default().to_string_lossy().into_owned(), status]
    };
    table::print(results.iter().map(line))?;
    let open = results.iter().filter(|point| point.result().is_none()).count();
    table::say(format_args!("{} points, {open} to run", results.len()))
}
