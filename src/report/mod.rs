//! A sweep's results as tables, figures, answers to the paper's claims, and one page to read.
//!
//! ```text
//! points ─► store     results.csv, results.parquet
//!        ─► select    settings: points that differ in seed only
//!             ─► exhibits   which settings stand in which table and figure of the paper
//!                  ─► tables, figures, claims (by paired)
//!                       ─► markdown  report.md
//!                       ─► page      index.html
//! ```

mod about;
mod claims;
mod exhibits;
mod figures;
mod markdown;
mod page;
mod paired;
mod published;
#[cfg(test)]
mod sample;
mod select;
mod stats;
mod store;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::claims::{Claim, Verdict, p_text};
use self::exhibits::{Table2, Table3, Table4};
use self::figures::Figure;
use self::paired::Recalls;
use self::published::Published;
use self::select::{Study, method_name};
use self::tables::{Cell, Table, signed};
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
        match report.figures.iter().find(|figure| figure.id == id) {
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

/// All that a report says, before it has a form.
struct Report<'a> {
    about: &'a About,
    summary: Vec<String>,
    /// Tables 2, 3 (one for each N) and 4.
    paper: Vec<Table>,
    /// The tests between rows of Table 2.
    tests: Option<Table>,
    settings: Table,
    unfinished: Option<Table>,
    figures: Vec<Figure>,
    claims: Vec<Claim>,
    made: Vec<(&'static str, String)>,
}

impl<'a> Report<'a> {
    fn of(about: &'a About, points: &[PointResult]) -> Result<Self> {
        let published = Published::of(&about.dataset.name)?;
        let study = Study::of(points)?;
        let recalls = Recalls::new(&study);
        let table2 = Table2::of(&study, &published);
        let mut paper: Vec<Table> =
            tables::table2(&study, &table2, &published).into_iter().collect();
        if let Some(table) = Table3::of(&study, &published) {
            paper.extend(tables::table3(&study, &table, &published));
        }
        if let Some(table) = Table4::of(&study, &published) {
            paper.push(tables::table4(&study, &table, &published));
        }
        let figures = figures::figures(&study, &table2, &recalls, about)?;
        // A sweep of something else has nothing to say about the paper.
        let of_paper = !paper.is_empty() || figures.iter().any(|f| f.id != figures::IDS[3]);
        let claims = if of_paper { claims::claims(&study, &table2, &recalls) } else { vec![] };
        for table in &mut paper {
            table.notes.extend(
                about.dataset.generated.then(|| about.dataset.generated_note().trim().to_owned()),
            );
        }
        let mut settings = tables::settings(&study)?;
        settings.notes.extend(
            about.dataset.generated.then(|| about.dataset.generated_note().trim().to_owned()),
        );
        let mut summary = summary(&study, &claims);
        if of_paper && published.is_empty() {
            summary.push(format!(
                "The paper has no figures for {}, so none stand beside ours.",
                about.dataset.name
            ));
        }
        Ok(Self {
            about,
            summary,
            tests: tests(&study, &table2, &recalls, about),
            paper,
            settings,
            unfinished: tables::unfinished(points),
            figures,
            claims,
            made: about.made(points),
        })
    }
}

fn summary(study: &Study, claims: &[Claim]) -> Vec<String> {
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
    let recalls = study.settings.iter().filter_map(|s| Some((s.recall(at)?, s)));
    if let Some((best, setting)) = recalls.max_by(|a, b| a.0.total_cmp(&b.0)) {
        let name = match setting.row.filter(|_| !claims.is_empty()) {
            Some(row) => row.label(),
            None => setting.points[0].name.clone(),
        };
        lines.push(format!("Best Recall@{at}: {:.2} %, by {name}.", 100.0 * best));
    }
    if !claims.is_empty() {
        let count = |verdict| claims.iter().filter(|c| c.verdict == verdict).count();
        lines.push(format!(
            "The paper's {} claims on this data: {} hold, {} do not hold, {} not decided.",
            claims.len(),
            count(Verdict::Holds),
            count(Verdict::DoesNotHold),
            count(Verdict::NotDecided),
        ));
    }
    lines
}

/// The paired tests between the rows of Table 2 that the paper compares.
fn tests(study: &Study, table2: &Table2, recalls: &Recalls, about: &About) -> Option<Table> {
    let mut rows = vec![];
    for (a, b, x, y) in table2.pairs() {
        let (Some(x), Some(y)) = (x, y) else { continue };
        let pair = format!("{} − {}", method_name(a), method_name(b));
        for &at in &study.at {
            let mut row = vec![pair.clone(), format!("@{at}")];
            match recalls.compare(x, y, at) {
                Ok(paired) => {
                    let i = paired.interval.times(100.0);
                    row.extend([
                        signed(i.estimate, 2),
                        format!("{} to {}", signed(i.low, 2), signed(i.high, 2)),
                        paired.wide.map_or("unknown".into(), |wide| {
                            let wide = wide.times(100.0);
                            format!("{} to {}", signed(wide.low, 2), signed(wide.high, 2))
                        }),
                        p_text(i.p).trim_start_matches("p = ").trim_start_matches("p ").into(),
                        paired.users.to_string(),
                        format!("{} of {}", paired.agreeing, paired.seeds),
                    ]);
                }
                Err(error) => row.extend([
                    "–".into(),
                    format!("not compared: {error:#}"),
                    "–".into(),
                    "–".into(),
                    "–".into(),
                    "–".into(),
                ]),
            }
            rows.push(row.into_iter().map(Cell::Text).collect());
        }
    }
    let head = [
        "rows of Table 2",
        "N",
        "difference",
        "95 % interval",
        "with seeds",
        "p",
        "users",
        "seeds agreeing",
    ];
    let note = "Recall@N of the first minus the second, in percentage points: each test user's mean over the seeds that both have, paired t-test over users. The first interval and p cover the choice of users; the second interval also covers what other seeds would change, by the standard deviation over seeds (that of the two where both have several seeds, else pooled over all settings that have).";
    (!rows.is_empty()).then(|| Table {
        id: "tests".into(),
        title: "Paired tests over test users".into(),
        notes: std::iter::once(note.to_owned())
            .chain(about.dataset.generated.then(|| about.dataset.generated_note().trim().into()))
            .collect(),
        head: head.map(String::from).into(),
        rows,
    })
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests_of_write;
