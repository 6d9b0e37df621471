//! Validation curves, from the logs of runs: a figure that any sweep can have.

use anyhow::Result;

use super::drawing::{Axis, Figure, Line, Panel};
use super::study::{Study, Variant};
use super::validations::{Validation, validations};

/// The name of the figure.
pub const ID: &str = "validation-curves";

/// A variant as the figure shows it, a curve a run.
pub struct Series<'a, 'p> {
    pub name: String,
    /// Index of colour and mark.
    pub style: usize,
    pub variant: &'a Variant<'p>,
}

/// The curves of the variants of `study` under `names`, its own: of the `most` that are best in
/// validation.
///
/// # Errors
/// Those of the drawing crate.
pub fn of_best(study: &Study, names: &[String], most: usize) -> Result<Option<Figure>> {
    let score = |v: &Variant| v.monitored().unwrap_or(-1.0);
    let mut all: Vec<(&Variant, &String)> = study.variants.iter().zip(names).collect();
    all.sort_by(|a, b| score(b.0).total_cmp(&score(a.0)));
    all.truncate(most);
    let series = all.into_iter().enumerate();
    let series =
        series.map(|(style, (variant, name))| Series { name: name.clone(), style, variant });
    let caption = match study.variants.len() > most {
        true => format!(" The {most} settings with the best validation are shown."),
        false => String::new(),
    };
    figure(&series.collect::<Vec<_>>(), &caption)
}

/// The monitored validation metric over steps and over seconds; `caption` is what is said besides.
///
/// # Errors
/// Those of the drawing crate.
pub fn figure(shown: &[Series], caption: &str) -> Result<Option<Figure>> {
    let Some(metric) = shown.first().map(|s| s.variant.config.train.monitor) else {
        return Ok(None);
    };
    let mut by_step = vec![];
    let mut by_second = vec![];
    for Series { name, style, variant } in shown {
        for point in variant.done() {
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
    Ok(Some(Figure::new(ID, title, text, &panels)?))
}
