//! A sweep's results as tables, figures, answers to a paper's claims, and one page to read.
//!
//! ```text
//! points ─► shared/results_files   results.csv, results.parquet
//!        ─► shared/study           variants: points that differ in seed only
//!             ─► croloss/   exhibits (which variants stand in which table and figure of the paper)
//!             │               ─► tables, figures, claims (by user_recall)
//!             ─► tron/      session models: tables, curves, claims (by compare)
//!                  ─► shared/report     all that is said
//!                       ─► shared/markdown  report.md
//!                       ─► shared/page      index.html
//! ```

mod croloss;
mod shared;
mod tron;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::shared::claim::Verdict;
use self::shared::report::{Findings, Report};
use self::shared::study::Study;
use self::shared::{markdown, page, sweep_tables, validation_curves};
use crate::files;
use crate::sweep::{PointResult, Status};

pub use shared::drawing::{Axis, Line, Panel, draw};
pub use shared::provenance::{DatasetSummary, Provenance, machine, today};
pub use shared::results_files::write_results;

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
    for (name, text) in
        [("report.md", markdown::render(&report)), ("index.html", page::render(&report))]
    {
        let path = out.join(name);
        files::write_file(&path, text)?;
        written.push(path);
    }
    Ok(written)
}

/// The names of all figures that a report can have.
fn figure_ids() -> impl Iterator<Item = &'static str> {
    croloss::FIGURES.into_iter().chain([validation_curves::ID])
}

fn report_of<'a>(provenance: &'a Provenance, points: &[PointResult]) -> Result<Report<'a>> {
    let study = Study::of(points)?;
    let mut found = match tron::are_evaluated(&study) {
        true => tron::findings(&study)?,
        false => croloss::findings(&study, &provenance.dataset.name)?,
    };
    let mut variants = sweep_tables::variants(&study)?;
    if provenance.dataset.generated {
        let note = provenance.dataset.generated_note();
        let tables = found.tables.iter_mut().chain(&mut found.tests).chain([&mut variants]);
        tables.for_each(|table| table.notes.push(note.trim().into()));
        found.figures.iter_mut().for_each(|figure| figure.caption += note);
    }
    Ok(Report {
        provenance,
        summary: summary(&study, &found),
        found,
        variants,
        unfinished: sweep_tables::unfinished(points),
        made: provenance.made(points),
    })
}

fn summary(study: &Study, found: &Findings) -> Vec<String> {
    let count = |is: fn(&Status) -> bool| study.points.iter().filter(|p| is(&p.status)).count();
    let all = study.points.len();
    let done = count(|s| matches!(s, Status::Done(_)));
    let failed = count(|s| matches!(s, Status::Failed(_)));
    let missing = count(|s| matches!(s, Status::Missing));
    let mut lines = vec![match (failed, missing) {
        (0, 0) => format!("All {all} points are done."),
        _ => format!("{done} of {all} points are done; failed: {failed}, missing: {missing}."),
    }];
    let at = study.deciding_at().unwrap_or(50);
    let named = study.variants.iter().zip(&found.names);
    let recalls = named.filter_map(|(variant, name)| Some((variant.recall(at)?, name)));
    if let Some((best, name)) = recalls.max_by(|a, b| a.0.total_cmp(&b.0)) {
        lines.push(format!("Best Recall@{at}: {:.2} %, by {name}.", 100.0 * best));
    }
    if !found.claims.is_empty() {
        let count = |verdict| found.claims.iter().filter(|c| c.verdict == verdict).count();
        lines.push(format!(
            "{} {} claims on this data: {} hold, {} do not hold, {} not decided.",
            found.wording.whose,
            found.claims.len(),
            count(Verdict::Holds),
            count(Verdict::DoesNotHold),
            count(Verdict::NotDecided),
        ));
    }
    lines.extend(found.remarks.iter().cloned());
    lines
}

#[cfg(test)]
mod tests;
