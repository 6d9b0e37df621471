//! What is written about a search: a page, a table, a picture, and the best as configurations.

use std::path::{Path, PathBuf};

use anyhow::Result;
use polars::prelude::*;

use super::found::Found;
use super::outcome::{Outcome, Row, order};
use super::rungs::{SHARES, Standing};
use super::words::{best_name, said};
use crate::config::Metric;
use crate::files;
use crate::report::{Axis, Line, Panel, draw};

/// Of the points behind the best so many are told.
const RUNNERS_UP: usize = 5;

/// Writes `tune.md`, `found.json`, `points.csv`, `tune.svg` and a configuration `best-METRIC.toml` for
/// each metric whose best is known into the folder of the search, each whole or not at all, and returns
/// them, `tune.md` last.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(outcome: &Outcome, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut written = vec![];
    let mut put = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        files::write_file(&path, content)?;
        written.push(path);
        anyhow::Ok(())
    };
    for one in &outcome.finals {
        put(&best_name(one.metric), toml::to_string(&one.config)?.as_bytes())?;
    }
    put("tune.svg", picture(outcome)?.as_bytes())?;
    let mut bytes = vec![];
    CsvWriter::new(&mut bytes).finish(&mut table(outcome)?)?;
    put("points.csv", &bytes)?;
    put("found.json", (serde_json::to_string_pretty(&Found::of(outcome))? + "\n").as_bytes())?;
    put("tune.md", page(outcome).as_bytes())?;
    Ok(written)
}

fn page(outcome: &Outcome) -> String {
    let standings = outcome.standings();
    let on = |rung: usize| standings.iter().filter(|point| point.reached >= rung).count();
    let rungs = (1..=SHARES.len()).map(|rung| format!("{} at {}", on(rung), share(rung)));
    let failed = standings.iter().filter(|point| point.failed).count();
    let mut text = format!(
        "# The best setting by {}\n\n{} points: {}; {failed} failed. {} steps in all, without those of \
         the seeds at the end.\n\n",
        outcome.metrics.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        outcome.points.len(),
        rungs.collect::<Vec<_>>().join(", "),
        outcome.steps(),
    );
    for paragraph in said(outcome) {
        text += &format!("{paragraph}\n\n");
    }
    text += "![Best validation so far, over steps](tune.svg)\n";
    for (place, metric) in outcome.metrics.iter().enumerate() {
        text += &format!("\n## {metric}: the best of the search\n\n");
        text += "Its best validation up to the share of its steps to which it was trained, one seed.\n\n";
        text += &format!("| point | share | validation {metric}, % |\n|---|---:|---:|\n");
        for point in order(&standings, place).into_iter().take(1 + RUNNERS_UP) {
            let Row { case, standing, .. } = &outcome.points[point];
            let value = 100.0 * standing.best(place).unwrap_or_default();
            text += &format!("| {case} | {} | {value:.2} |\n", share(standing.reached));
        }
    }
    text + "\n[points.csv](points.csv) has a row a point.\n"
}

/// A rung, from 1, by the share of the steps: `1/9`, `all`.
fn share(rung: usize) -> String {
    match SHARES[rung - 1] {
        1.0 => "all".into(),
        share => format!("1/{:.0}", 1.0 / share),
    }
}

fn table(outcome: &Outcome) -> Result<DataFrame> {
    let points = &outcome.points;
    let text = |name: &str, of: fn(&Row) -> String| {
        Column::new(name.into(), points.iter().map(of).collect::<Vec<_>>())
    };
    let status = |row: &Row| {
        let Standing { failed, reached, .. } = row.standing;
        let status = match (failed, reached) {
            (true, _) => "failed",
            (_, 0) => "not begun",
            (_, rung) if rung == SHARES.len() => "done",
            _ => "left",
        };
        status.to_owned()
    };
    let mut columns = vec![
        text("name", |row| row.name.clone()),
        text("case", |row| row.case.clone()),
        text("run", |row| row.run.file_name().unwrap_or_default().to_string_lossy().into()),
        text("status", status),
        Column::new(
            "share".into(),
            points
                .iter()
                .map(|row| row.standing.reached.checked_sub(1).map(|rung| SHARES[rung]))
                .collect::<Vec<_>>(),
        ),
        Column::new(
            "steps".into(),
            points.iter().map(|row| row.standing.steps).collect::<Vec<_>>(),
        ),
    ];
    for (place, metric) in outcome.metrics.iter().enumerate() {
        let values: Vec<Option<f64>> = points.iter().map(|row| row.standing.best(place)).collect();
        columns.push(Column::new(format!("validation.{metric}").into(), values));
    }
    Ok(DataFrame::new(points.len(), columns)?)
}

/// Each point's best so far over the steps that it took, the best of all by name.
fn picture(outcome: &Outcome) -> Result<String> {
    let standings = outcome.standings();
    let panel = |(place, metric): (usize, &Metric)| {
        let best = order(&standings, place).first().copied();
        let curve = |standing: &Standing| -> Vec<(f64, f64)> {
            let Standing { reached, steps, values, .. } = standing;
            let most = *steps as f64 / SHARES[reached.saturating_sub(1)];
            let step = |rung: usize| (SHARES[rung] * most).min(*steps as f64);
            let points = values.iter().enumerate();
            points.map(|(rung, values)| (step(rung), 100.0 * values[place])).collect()
        };
        let of = |(point, row): (usize, &Row)| {
            let is_best = Some(point) == best;
            let (name, style) = if is_best { (row.case.as_str(), 1) } else { ("", 0) };
            Line::new(name, style, curve(&row.standing))
        };
        let mut lines: Vec<Line> = outcome.points.iter().enumerate().map(of).collect();
        lines.retain(|line| !line.points.is_empty());
        let points = || lines.iter().flat_map(|line| &line.points);
        Panel {
            x: Axis::from_zero(points().map(|(x, ..)| *x)),
            x_label: "steps of a point".into(),
            y: Axis::from_zero(points().map(|(_, y, _)| *y)),
            y_label: format!("best validation {metric} so far, %"),
            zero: None,
            lines,
        }
    };
    let panels: Vec<Panel> = outcome.metrics.iter().enumerate().map(panel).collect();
    draw(&panels, "Each line is a point of the search, each mark a rung")
}
