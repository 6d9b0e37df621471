//! Validation curves, from the logs of runs.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::axis::Axis;
use super::draw::{Figure, Line, Panel};
use super::{IDS, figure};
use crate::config::Metric;
use crate::report::exhibits::{Table2, style_of};
use crate::report::select::{Setting, Study, method_name};

/// The most settings that one figure can show.
const MOST: usize = 6;

/// One validation: step, seconds, the monitored metric in percent.
type Validation = (f64, f64, f64);

/// The monitored validation metric over steps and over seconds: of the rows of Table 2, or of the
/// best settings of a sweep that has no such rows.
pub fn validation(study: &Study, table2: &Table2) -> Result<Option<Figure>> {
    let rows = table2.rows();
    let paper = rows.len() > 1;
    let mut shown: Vec<&Setting> = if paper { rows } else { study.settings.iter().collect() };
    let score = |s: &Setting| s.monitored().unwrap_or(-1.0);
    if !paper {
        shown.sort_by(|a, b| score(b).total_cmp(&score(a)));
        shown.truncate(MOST);
    }
    let Some(metric) = shown.first().map(|s| s.config.train.monitor) else { return Ok(None) };
    let mut by_step = vec![];
    let mut by_second = vec![];
    for (number, setting) in shown.iter().enumerate() {
        let style = setting.row.filter(|_| paper).map_or(number, style_of);
        let name = match setting.row.filter(|_| paper) {
            Some(row) => method_name(row.method).to_owned(),
            None => setting.points[0].name.clone(),
        };
        for point in setting.done() {
            let curve = read(&point.run.join("metrics.jsonl"), metric);
            if curve.is_empty() {
                continue;
            }
            let line = |x: fn(&Validation) -> f64| {
                let points = curve.iter().map(|v| (x(v), v.2)).collect();
                Line { marks: curve.len() <= 40, ..Line::new(name.clone(), style, points) }
            };
            by_step.push(line(|v| v.0));
            by_second.push(line(|v| v.1));
        }
    }
    if by_step.is_empty() {
        return Ok(None);
    }
    let panel = |lines: Vec<Line>, x_label: &str| {
        let points = || lines.iter().flat_map(|line| &line.points);
        Panel {
            x: Axis::from_zero(points().map(|(x, ..)| *x)),
            x_label: x_label.into(),
            y: Axis::from_zero(points().map(|(_, y, _)| *y)),
            y_label: format!("validation {metric}, %"),
            zero: None,
            lines,
        }
    };
    let panels = [panel(by_step, "steps"), panel(by_second, "seconds")];
    let mut caption = String::from(
        "One line a run. Seconds are wall-clock time since the run began, validations included.",
    );
    if !paper && study.settings.len() > MOST {
        caption += &format!(" The {MOST} settings with the best validation are shown.");
    }
    let title = format!("Validation {metric} over steps and over seconds");
    Ok(Some(figure(IDS[3], title, caption, &panels)?))
}

/// The validations in a run's log; broken or foreign lines are left out.
fn read(path: &Path, metric: Metric) -> Vec<Validation> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let name = metric.to_string();
    let validation = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["part"] == "validation").then_some(())?;
        Some((line["step"].as_f64()?, line["seconds"].as_f64()?, 100.0 * line[&name].as_f64()?))
    };
    text.lines().filter_map(validation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validations_are_read_and_all_else_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let text = "{\"part\":\"train\",\"step\":1,\"seconds\":0.5,\"recall@50\":9.0}\n\
            {\"part\":\"validation\",\"step\":4,\"seconds\":2.5,\"recall@50\":0.25}\n{\"part\":\"val";
        fs::write(&path, text).unwrap();
        let metric = "recall@50".parse().unwrap();
        assert_eq!(read(&path, metric), [(4.0, 2.5, 25.0)]);
        assert!(read(&dir.path().join("none"), metric).is_empty());
    }
}
