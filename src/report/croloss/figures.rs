//! The paper's figures.

use anyhow::Result;

use super::exhibits::{KERNELS, Table2, gains, kernels_at_one_alpha, sigmoid_over_alpha, style_of};
use super::paper_row::{alpha_text, row_of};
use super::user_recall::UserRecalls;
use crate::report::shared::drawing::{Axis, Figure, Line, Panel, Point};
use crate::report::shared::statistics::{Interval, mean_sd};
use crate::report::shared::study::{Study, Variant, recall};
use crate::report::shared::validation_curves::{self, Series};

/// The names of the paper's figures 3, 4 and 5.
pub const IDS: [&str; 3] = ["recall-by-kernel", "recall-by-alpha", "gain-of-alpha"];

/// The most variants whose curves are drawn where a sweep is not the paper's.
const MOST_CURVES: usize = 6;

/// The figures that these points allow; `names` are those of the study's variants.
///
/// # Errors
/// Those of the drawing crate.
pub fn figures(
    study: &Study,
    table2: &Table2,
    recalls: &UserRecalls,
    names: &[String],
) -> Result<Vec<Figure>> {
    let rows = curves_of_rows(table2);
    let curves = match rows.is_empty() {
        true => validation_curves::of_best(study, names, MOST_CURVES)?,
        false => validation_curves::figure(&rows, "")?,
    };
    let all = [by_kernel(study)?, by_alpha(study)?, gain(study, recalls)?, curves];
    Ok(all.into_iter().flatten().collect())
}

/// The rows of Table 2; none where there are not two.
fn curves_of_rows<'a, 'p>(table2: &Table2<'a, 'p>) -> Vec<Series<'a, 'p>> {
    let rows = table2.rows();
    let series = |variant: &'a Variant<'p>| {
        let row = row_of(variant)?;
        Some(Series { name: row.method.title().into(), style: style_of(row), variant })
    };
    if rows.len() > 1 { rows.into_iter().filter_map(series).collect() } else { vec![] }
}

/// Figure 3: recall against N for each kernel, and the same relative to the mean of kernels.
fn by_kernel(study: &Study) -> Result<Option<Figure>> {
    let Some((alpha, kernels)) = kernels_at_one_alpha(study).filter(|(_, k)| k.len() > 1) else {
        return Ok(None);
    };
    if study.at.len() < 2 {
        return Ok(None);
    }
    let percent = |variant: &Variant, at| Some(100.0 * variant.recall(at)?);
    let mean = |at| -> Option<f64> {
        let all = kernels.iter().map(|(_, v)| percent(v, at)).collect::<Option<Vec<f64>>>()?;
        Some(mean_sd(&all)?.0)
    };
    let line = |(kernel, variant): &(_, &Variant)| {
        let style = KERNELS.iter().position(|k| k == kernel).unwrap_or_default();
        let points = study.at.iter().filter_map(|&at| {
            let values: Vec<f64> = variant.test(recall(at)).iter().map(|v| 100.0 * v).collect();
            let (mean, sd) = mean_sd(&values)?;
            Some((at as f64, mean, sd.map(|sd| (mean - sd, mean + sd))))
        });
        Line { points: points.collect(), ..Line::new(kernel.name(), style, vec![]) }
    };
    let absolute: Vec<Line> = kernels.iter().map(line).collect();
    let relative = absolute.iter().map(|line| {
        let points = line.points.iter().filter_map(|(x, y, bar)| {
            let mean = mean(*x as usize)?;
            let of = |y: f64| 100.0 * (y / mean - 1.0);
            Some((*x, of(*y), bar.map(|(low, high)| (of(low), of(high)))))
        });
        Line { points: points.collect(), ..Line::new(line.name.clone(), line.style, vec![]) }
    });
    let relative: Vec<Line> = relative.collect();
    let ticks: Vec<f64> = study.at.iter().map(|&n| n as f64).collect();
    let panels = [
        Panel {
            x: Axis::log(&ticks),
            x_label: "N (log scale)".into(),
            y: Axis::from_zero(heights(&absolute)),
            y_label: "Recall@N, %".into(),
            zero: None,
            lines: absolute,
        },
        Panel {
            x: Axis::log(&ticks),
            x_label: "N (log scale)".into(),
            y: Axis::linear(heights(&relative).chain([0.0])),
            y_label: "relative to the kernels' mean, %".into(),
            zero: Some(0.0),
            lines: relative,
        },
    ];
    let title = format!("Recall against N for each kernel, α = {}", alpha_text(alpha));
    let caption = "The paper's Figure 3. Left: recall on the test users. Right: the same as a difference from the mean of the kernels. Bars: standard deviation over seeds, where there are several.";
    Ok(Some(Figure::new(IDS[0], title, caption.into(), &panels)?))
}

fn heights(lines: &[Line]) -> impl Iterator<Item = f64> {
    let ends = |(_, y, bar): &Point| {
        let (low, high) = bar.unwrap_or((*y, *y));
        [*y, low, high]
    };
    lines.iter().flat_map(move |line| line.points.iter().flat_map(ends))
}

/// Figure 4: recall against α for each N, relative to the best; and the best α against N.
fn by_alpha(study: &Study) -> Result<Option<Figure>> {
    let all = sigmoid_over_alpha(study);
    let mut lines = vec![];
    let mut best_alphas = vec![];
    for (style, &at) in study.at.iter().enumerate() {
        let known: Vec<(f64, f64)> =
            all.iter().filter_map(|(alpha, v)| Some((*alpha, v.recall(at)?))).collect();
        let Some(&(alpha, best)) = known.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            continue;
        };
        let points =
            known.iter().map(|(x, y)| (*x, if best > 0.0 { 100.0 * y / best } else { 0.0 }));
        let mut line = Line::new(format!("Recall@{at}"), style, points.collect());
        (line.ordered, line.big) = (true, vec![(alpha, 100.0)]);
        lines.push(line);
        best_alphas.push((at as f64, alpha));
    }
    if lines.len() < 2 || lines.iter().any(|line| line.points.len() < 3) {
        return Ok(None);
    }
    let alphas: Vec<f64> = lines[0].points.iter().map(|(x, ..)| *x).collect();
    let ns: Vec<f64> = best_alphas.iter().map(|(n, _)| *n).collect();
    let panels = [
        Panel {
            x: Axis::linear(alphas.iter().copied()),
            x_label: "α".into(),
            y: Axis::linear(heights(&lines)),
            y_label: "share of the best Recall@N, %".into(),
            zero: None,
            lines,
        },
        Panel {
            x: Axis::log(&ns),
            x_label: "N (log scale)".into(),
            y: Axis::linear(alphas.iter().copied()),
            y_label: "best α".into(),
            zero: None,
            lines: vec![Line::new("", 6, best_alphas)],
        },
    ];
    let caption = "The paper's Figure 4. Left: mean recall over seeds, divided by the best of its line; the best α is circled. Right: that best α against N.";
    let title = "Recall against α with the sigmoid kernel".to_owned();
    Ok(Some(Figure::new(IDS[1], title, caption.into(), &panels)?))
}

/// Figure 5: the gain of α = 1 over α = 0.
fn gain(study: &Study, recalls: &UserRecalls) -> Result<Option<Figure>> {
    let mut lines = vec![];
    for (kernel, zero, one) in gains(study) {
        let style = KERNELS.iter().position(|k| *k == kernel).unwrap_or_default();
        let points = study.at.iter().filter_map(|&at| {
            let (a, b) = (one.recall(at)?, zero.recall(at)?);
            let interval = recalls.means(&[one, zero], at).ok();
            let interval = interval.and_then(|m| Interval::of_ratio(&m[0], &m[1]));
            match interval.map(|i| i.times(100.0)) {
                Some(i) => Some((at as f64, i.estimate, Some((i.low, i.high)))),
                None if b > 0.0 => Some((at as f64, 100.0 * (a / b - 1.0), None)),
                None => None,
            }
        });
        let points: Vec<_> = points.collect();
        if !points.is_empty() {
            lines.push(Line { points, ..Line::new(kernel.name(), style, vec![]) });
        }
    }
    if lines.is_empty() || study.at.len() < 2 {
        return Ok(None);
    }
    let ticks: Vec<f64> = study.at.iter().map(|&n| n as f64).collect();
    let panel = Panel {
        x: Axis::log(&ticks),
        x_label: "N (log scale)".into(),
        y: Axis::linear(heights(&lines).chain([0.0])),
        y_label: "gain in Recall@N, %".into(),
        zero: Some(0.0),
        lines,
    };
    let title = "Gain of α = 1 over α = 0".to_owned();
    let caption = "The paper's Figure 5. Relative gain in mean recall; bars: 95 % interval over test users. At α = 0 the hinge kernel is the triplet loss and softplus is BPR.";
    Ok(Some(Figure::new(IDS[2], title, caption.into(), &[panel])?))
}
