//! Validation curves, from the logs of runs.

use anyhow::Result;

use super::axis::Axis;
use super::draw::{Figure, Line, Panel};
use super::{VALIDATION, figure};
use crate::report::exhibits::{Table2, style_of};
use crate::report::select::{Setting, Study, method_name};
use crate::report::validations::{Validation, validations};

/// A setting as the figure shows it: its name, its style, its runs.
pub struct Shown<'a, 'p> {
    name: String,
    style: usize,
    setting: &'a Setting<'p>,
}

impl<'a, 'p> Shown<'a, 'p> {
    /// The rows of Table 2; none where there are not two.
    pub fn of_paper(table2: &Table2<'a, 'p>) -> Vec<Self> {
        let rows = table2.rows();
        let shown = |setting: &'a Setting<'p>| {
            let row = setting.row?;
            Some(Self { name: method_name(row.method).into(), style: style_of(row), setting })
        };
        if rows.len() > 1 { rows.into_iter().filter_map(shown).collect() } else { vec![] }
    }

    /// The settings of `study` under `names`, its own, in the order of their validation, the best
    /// `most` of them.
    pub fn best(study: &'a Study<'p>, names: &[String], most: usize) -> Vec<Self> {
        let score = |s: &Setting| s.monitored().unwrap_or(-1.0);
        let mut all: Vec<(&Setting, &String)> = study.settings.iter().zip(names).collect();
        all.sort_by(|a, b| score(b.0).total_cmp(&score(a.0)));
        all.truncate(most);
        let shown = |(style, (setting, name)): (usize, (&'a Setting<'p>, &String))| Self {
            name: name.clone(),
            style,
            setting,
        };
        all.into_iter().enumerate().map(shown).collect()
    }
}

/// The monitored validation metric over steps and over seconds; `caption` is what is said besides.
///
/// # Errors
/// Those of the drawing crate.
pub fn validation(shown: &[Shown], caption: &str) -> Result<Option<Figure>> {
    let Some(metric) = shown.first().map(|s| s.setting.config.train.monitor) else {
        return Ok(None);
    };
    let mut by_step = vec![];
    let mut by_second = vec![];
    for Shown { name, style, setting } in shown {
        for point in setting.done() {
            let curve = validations(point, metric);
            if curve.is_empty() {
                continue;
            }
            let line = |x: fn(&Validation) -> f64| {
                let points = curve.iter().map(|v| (x(v), v.percent)).collect();
                Line { marks: curve.len() <= 40, ..Line::new(name.clone(), *style, points) }
            };
            by_step.push(line(|v| v.step as f64));
            by_second.push(line(|v| v.seconds));
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
    let text = format!(
        "One line a run. Seconds are wall-clock time since the run began, validations included.{caption}"
    );
    let title = format!("Validation {metric} over steps and over seconds");
    Ok(Some(figure(VALIDATION, title, text, &panels)?))
}
