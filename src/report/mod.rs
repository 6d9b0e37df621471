//! A sweep's results as tables, figures, answers to a paper's claims, and one page to read.
//!
//! ```text
//! points ─► store     results.csv, results.parquet
//!        ─► select    settings: points that differ in seed only
//!             ─► paper     CROLoss: exhibits (which settings stand in which table and figure)
//!             │              ─► tables, figures, claims (by paired)
//!             ─► sessions  TRON, of session models: tables, curves, claims (by compare)
//!                  ─► markdown  report.md
//!                  ─► page      index.html
//! ```

mod about;
mod claims;
mod exhibits;
mod figures;
mod markdown;
mod page;
mod paired;
mod paper;
mod published;
#[cfg(test)]
mod sample;
mod select;
mod sessions;
mod significance;
mod stats;
mod store;
mod tables;
mod validations;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::figures::Figure;
use self::select::Study;
use self::tables::Table;
use self::verdict::{Claim, Verdict};
use crate::files;
use crate::sweep::{PointResult, Status};

pub use about::{About, DatasetAbout, machine, today};
pub use figures::{Axis, Line, Panel, draw};
pub use store::write_results;

/// Writes everything that is known about `points` into the folder `out`, which is made if it is
/// not there: `results.csv`, `results.parquet`, `report.md`, `index.html` and a few SVG files,
/// each replaced whole. A figure of an earlier report that these points do not allow is removed;
/// other files stay. Returns what was written, the page last.
///
/// # Errors
/// Names the file that cannot be written. Points that are missing or failed, and runs without
/// ranks, are no errors: the report says so.
pub fn write(about: &About, points: &[PointResult], out: &Path) -> Result<Vec<PathBuf>> {
    let report = Report::of(about, points)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let mut written: Vec<PathBuf> = write_results(points, out)?.into();
    for id in figures::IDS {
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

/// What a sweep says about the paper that it belongs to.
struct Findings {
    wording: &'static Wording,
    /// Of each setting of the study.
    names: Vec<String>,
    tables: Vec<Table>,
    /// Paired tests.
    tests: Option<Table>,
    figures: Vec<Figure>,
    /// None where the sweep is about something else.
    claims: Vec<Claim>,
    /// Sentences for the summary.
    remarks: Vec<String>,
}

/// What is called differently from paper to paper.
struct Wording {
    /// Whose claims they are.
    whose: &'static str,
    /// The heading of the tables.
    tables: &'static str,
    /// What the answers to the claims rest on.
    basis: &'static str,
}

/// All that a report says, before it has a form.
struct Report<'a> {
    about: &'a About,
    summary: Vec<String>,
    found: Findings,
    settings: Table,
    unfinished: Option<Table>,
    made: Vec<(&'static str, String)>,
}

impl<'a> Report<'a> {
    fn of(about: &'a About, points: &[PointResult]) -> Result<Self> {
        let study = Study::of(points)?;
        let mut found = match sessions::are_evaluated(&study) {
            true => sessions::findings(&study)?,
            false => paper::findings(&study, &about.dataset.name)?,
        };
        let mut settings = tables::settings(&study)?;
        if about.dataset.generated {
            let note = about.dataset.generated_note();
            let tables = found.tables.iter_mut().chain(&mut found.tests).chain([&mut settings]);
            tables.for_each(|table| table.notes.push(note.trim().into()));
            found.figures.iter_mut().for_each(|figure| figure.caption += note);
        }
        Ok(Self {
            about,
            summary: summary(&study, &found),
            found,
            settings,
            unfinished: tables::unfinished(points),
            made: about.made(points),
        })
    }
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
    let named = study.settings.iter().zip(&found.names);
    let recalls = named.filter_map(|(setting, name)| Some((setting.recall(at)?, name)));
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
#[path = "write_tests.rs"]
mod tests_of_write;
