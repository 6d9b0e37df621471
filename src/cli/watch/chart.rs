//! Learning curves, drawn with the characters of a terminal.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

use crate::cli::table::count;
use crate::report::round_step;
use crate::watch::thinned;

/// Rows between two labels, at least.
const ROWS_A_LABEL: u16 = 4;

/// A number that no loss comes to; what is above it has no place beside others.
const MOST: f64 = 1e30;

/// One run's.
pub struct Curve {
    /// Steps and values, ascending.
    pub points: Vec<(u64, f64)>,
    pub colour: Color,
    /// It lies above the others, and is thick.
    pub is_chosen: bool,
}

/// Curves over steps in one picture.
pub struct Picture<'a> {
    pub block: Block<'a>,
    pub curves: Vec<Curve>,
    /// What is said where there are none.
    pub empty: &'a str,
    /// Of axes and labels.
    pub ink: Style,
}

impl Picture<'_> {
    /// Draws it.
    pub fn draw(mut self, frame: &mut Frame, area: Rect) {
        let inner = self.block.inner(area);
        let drawable = |(_, value): &(u64, f64)| value.is_finite() && value.abs() < MOST;
        self.curves.iter_mut().for_each(|curve| curve.points.retain(drawable));
        self.curves.retain(|curve| !curve.points.is_empty());
        // Who comes last is drawn above the others.
        self.curves.sort_by_key(|curve| curve.is_chosen);
        let Some(end) =
            self.curves.iter().filter_map(|own| own.points.last()).map(|own| own.0).max()
        else {
            let line = Line::styled(self.empty, self.ink).centered();
            let [_, middle] = halves(inner);
            frame.render_widget(self.block, area);
            frame.render_widget(Paragraph::new(line), middle);
            return;
        };
        let parts = 2 * usize::from(inner.width).max(1);
        let thin: Vec<Vec<(f64, f64)>> = self
            .curves
            .iter()
            .map(|curve| thinned(curve.points.iter().copied(), end, parts))
            .collect();
        let datasets = self.curves.iter().zip(&thin).map(|(curve, points)| {
            let marker = match (curve.is_chosen, points.len()) {
                (_, 1) => Marker::Dot,
                (true, _) => Marker::Quadrant,
                (false, _) => Marker::Braille,
            };
            Dataset::default()
                .data(points)
                .marker(marker)
                .graph_type(GraphType::Line)
                .style(curve.colour)
        });
        let values = || thin.iter().flatten().map(|(_, value)| *value);
        let extent = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        let (bounds, labels) = scale(extent, usize::from(inner.height / ROWS_A_LABEL));
        let steps = match inner.width {
            60.. => vec![0, end / 2, end],
            _ => vec![0, end],
        };
        let x = Axis::default()
            .bounds([0.0, (end as f64).max(1.0)])
            .labels(steps.into_iter().map(count))
            .style(self.ink);
        let y = Axis::default()
            .bounds(bounds)
            .labels(labels)
            .labels_alignment(Alignment::Right)
            .style(self.ink);
        let chart = Chart::new(datasets.collect()).legend_position(None).block(self.block);
        frame.render_widget(chart.x_axis(x).y_axis(y), area);
    }
}

fn halves(area: Rect) -> [Rect; 2] {
    let above = area.height / 2;
    let below = area.height - above;
    [Rect { height: above, ..area }, Rect { y: area.y + above, height: below, ..area }]
}

/// Bounds around values, and evenly spaced labels from the lower to the upper: at most `most` spaces
/// between them, or one more, and one at least.
fn scale((low, high): (f64, f64), most: usize) -> ([f64; 2], Vec<String>) {
    // A straight line lies in the middle.
    let gap = if high > low { 0.0 } else { (high.abs() * 0.01).max(1e-6) };
    let (low, high) = (low - gap, high + gap);
    let step = round_step((high - low) / most.max(1) as f64);
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    let is_whole = |digits: &i32| (step * 10f64.powi(*digits)).fract() < 1e-6;
    let digits = (0..8).find(is_whole).unwrap_or(8) as usize;
    let label = |value: f64| match step >= 1e6 {
        true => format!("{value:e}"),
        false => format!("{value:.digits$}"),
    };
    let all = (0..=(last - first) as usize).map(|at| label((first + at as f64) * step)).collect();
    ([first * step, last * step], all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_round_and_lie_around_the_values() {
        for (extent, most, expected) in [
            ((0.3, 9.1), 5, &["0", "2", "4", "6", "8", "10"][..]),
            ((12.3, 13.3), 4, &["12.25", "12.50", "12.75", "13.00", "13.25", "13.50"]),
            ((-0.5, 0.5), 2, &["-0.5", "0.0", "0.5"]),
            ((3.0, 3.0), 0, &["2.9", "3.0", "3.1"]),
            ((0.0, 2.4e7), 3, &["0e0", "1e7", "2e7", "3e7"]),
        ] {
            let (bounds, labels) = scale(extent, most);
            assert!(bounds[0] <= extent.0 && extent.1 <= bounds[1], "{bounds:?}");
            assert_eq!(labels, expected, "{extent:?}");
        }
        let (bounds, labels) = scale((0.0, 0.0), 0);
        assert!(bounds[0] < 0.0 && bounds[1] > 0.0 && labels.len() <= 4, "{labels:?}");
    }
}
