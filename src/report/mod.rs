//! A sweep's results as tables, figures, answers to a paper's claims, and one page to read.
//!
//! ```text
//! points ─► shared/results_files   results.csv, results.parquet
//!        ─► shared/study           variants: points that differ in seed only
//!             ─► shared/choice ─► cases    of data of one's own: the best in validation, and all
//!             ─► croloss/   exhibits (which variants stand in which table and figure of the paper)
//!             │               ─► tables, figures, claims (by user_recall)
//!             ─► tron/      session models: tables, curves, claims (by shared/compare)
//!                  ─► shared/report     all that is said
//!                       ─► shared/markdown  report.md
//!                       ─► shared/page      index.html
//! ```

mod cases;
mod croloss;
mod shared;
mod tron;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::shared::case_names::case_names;
use self::shared::claim::Verdict;
use self::shared::report::{Findings, Report};
use self::shared::study::Study;
use self::shared::{markdown, page, sweep_tables, validation_curves};
use crate::config::Metric;
use crate::files;
use crate::misuse;
use crate::reading;
use crate::sweep::{PointResult, Status};

pub use shared::choice::{Case, Choice, Mean, Standing, in_percent};
pub use shared::drawing::{Axis, Line, Panel, draw, round_step};
pub use shared::provenance::{DatasetSummary, PAPERS_DATA, Provenance, machine, today};
pub use shared::results_files::write_results;

const PAGE: &str = "index.html";
const REPORT: &str = "report.md";
const RESULTS: &str = "results.csv";

/// Chooses among the cases of `points` by validation: by the metric `by`, or by what they monitor.
///
/// # Errors
/// [`crate::error::Misuse`] where nothing is done, for a metric that was not measured, and for points
/// that cannot be compared.
pub fn choose(points: &[PointResult], by: Option<Metric>) -> Result<Choice> {
    Choice::of(&Study::of(points)?, by)
}

/// Writes everything that is known about `points` into the folder `out`, which is made if it is
/// not there: `results.csv`, `results.parquet`, `report.md`, `index.html` and a few SVG files,
/// each replaced whole. A figure of an earlier report that these points do not allow is removed;
/// other files stay. Returns what was written, the page last.
///
/// # Errors
/// Names the file that cannot be written. Points that are missing or failed, and runs without
/// ranks, are no errors: the report says so.
pub fn write(provenance: &Provenance, points: &[PointResult], out: &Path) -> Result<Vec<PathBuf>> {
    let report = report_of(provenance, points)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let mut written: Vec<PathBuf> = write_results(points, out)?.into();
    for id in figure_ids() {
        let path = out.join(id).with_extension("svg");
        match report.found.figures.iter().find(|figure| figure.id == id) {
            Some(figure) => {
                files::write_file(&path, &figure.svg)?;
                written.push(path);
            }
            None if path.is_file() => fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?,
            None => {}
        }
    }
    for (name, text) in [(REPORT, markdown::render(&report)), (PAGE, page::render(&report))] {
        let path = out.join(name);
        files::write_file(&path, text)?;
        written.push(path);
    }
    Ok(written)
}

/// Refuses a folder where something stands under a name that a report writes, and is none of a report.
///
/// # Errors
/// [`crate::error::Misuse`] that names the file.
pub fn refuse_foreign(out: &Path) -> Result<()> {
    let begins = |name: &str, with: &str| {
        let mut start = vec![];
        let read =
            reading::open(&out.join(name)).map(|file| file.take(4096).read_to_end(&mut start));
        read.is_ok_and(|read| read.is_ok()) && String::from_utf8_lossy(&start).contains(with)
    };
    let is_there = |name: &str| out.join(name).symlink_metadata().is_ok();
    // A first report that was broken off has no page yet.
    let ours = match is_there(PAGE) {
        true => begins(PAGE, "croloss</title>"),
        false => begins(RESULTS, "name,id,grids,status"),
    };
    let figures = figure_ids().map(|id| format!("{id}.svg"));
    let mut names =
        [PAGE, REPORT, RESULTS, "results.parquet"].map(String::from).into_iter().chain(figures);
    if let Some(name) = names.find(|name| !ours && is_there(name)) {
        misuse!(
            "{} is there and of no report: choose another place with --out",
            out.join(name).display()
        );
    }
    Ok(())
}

/// The names of all figures that a report can have.
fn figure_ids() -> impl Iterator<Item = &'static str> {
    croloss::FIGURES.into_iter().chain([validation_curves::ID])
}

fn report_of<'a>(provenance: &'a Provenance, points: &[PointResult]) -> Result<Report<'a>> {
    let study = Study::of(points)?;
    let dataset = &provenance.dataset;
    let of_papers = dataset.is_of_papers();
    let mut found = match (of_papers || provenance.claims, tron::are_evaluated(&study)) {
        (false, _) => cases::findings(&study)?,
        (true, true) => tron::findings(&study, &dataset.baselines)?,
        (true, false) => croloss::findings(&study, dataset)?,
    };
    let mut variants = sweep_tables::variants(&study)?;
    let (mut summary, mut cases) = (vec![], vec![]);
    match of_papers {
        true => {
            summary.push(progress(&study));
            summary.extend(best_recall(&study, &found.names));
        }
        false => {
            (summary, cases) = cases::lead(&study, &dataset.baselines);
            summary.push(progress(&study));
            variants = variants.with_first_column("case", case_names(&study));
        }
    }
    summary.extend(answers(&found));
    summary.extend(found.remarks.iter().cloned());
    if dataset.generated {
        let note = dataset.generated_note();
        let tables = found.tables.iter_mut().chain(&mut found.tests).chain([&mut variants]);
        tables.for_each(|table| table.notes.push(note.trim().into()));
        found.figures.iter_mut().for_each(|figure| figure.caption += note);
    }
    Ok(Report {
        provenance,
        protocols: protocols(&study),
        summary,
        cases,
        found,
        variants,
        unfinished: sweep_tables::unfinished(points),
        made: provenance.made(points),
    })
}

/// Each once.
fn protocols(study: &Study) -> Vec<String> {
    let mut all = vec![];
    for words in study.variants.iter().map(|variant| variant.config.protocol_in_words()) {
        if !all.contains(&words) {
            all.push(words);
        }
    }
    all
}

fn progress(study: &Study) -> String {
    let count = |is: fn(&Status) -> bool| study.points.iter().filter(|p| is(&p.status)).count();
    let all = study.points.len();
    let done = count(|s| matches!(s, Status::Done(_)));
    let failed = count(|s| matches!(s, Status::Failed(_)));
    let missing = count(|s| matches!(s, Status::Missing));
    match (failed, missing) {
        (0, 0) => format!("All {all} points are done."),
        _ => format!("{done} of {all} points are done; failed: {failed}, missing: {missing}."),
    }
}

/// The best on test, whichever the paper's tables have; `names`: of the study's variants.
fn best_recall(study: &Study, names: &[String]) -> Option<String> {
    let at = study.deciding_at()?;
    let named = study.variants.iter().zip(names);
    let recalls = named.filter_map(|(variant, name)| Some((variant.recall(at)?, name)));
    let (best, name) = recalls.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!("Best Recall@{at}: {:.2} %, by {name}.", 100.0 * best))
}

/// How many of the paper's claims hold.
fn answers(found: &Findings) -> Option<String> {
    let count = |verdict| found.claims.iter().filter(|c| c.verdict == verdict).count();
    (!found.claims.is_empty()).then(|| {
        format!(
            "{} {} claims on this data: {} hold, {} do not hold, {} not decided.",
            found.wording.whose,
            found.claims.len(),
            count(Verdict::Holds),
            count(Verdict::DoesNotHold),
            count(Verdict::NotDecided),
        )
    })
}

#[cfg(test)]
mod tests;
