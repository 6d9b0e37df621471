//! An axis with ticks where they are wanted, linear or logarithmic.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// An axis of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    log: bool,
}

impl Axis {
    /// Linear, over all `values`, with a few round ticks.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values);
        let gap = ((high - low) * 0.06).max(high.abs() * 1e-6).max(1e-9);
        let (from, to) = (low - gap, high + gap);
        let step = round_step((to - from) / 6.0);
        let first = (from / step).ceil() as i64;
        let last = (to / step).floor() as i64;
        Self { from, to, ticks: (first..=last).map(|i| i as f64 * step).collect(), log: false }
    }

    /// Linear from zero.
    pub fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let mut axis = Self::linear(values.into_iter().chain([0.0]));
        axis.from = 0.0;
        axis.ticks.retain(|tick| *tick >= 0.0);
        axis
    }

    /// Logarithmic, with a tick at each of `ticks`, which are above zero.
    pub fn log(ticks: &[f64]) -> Self {
        let (low, high) = extent(ticks.iter().copied());
        let gap = (high / low).powf(0.06).max(1.05);
        Self { from: low / gap, to: high * gap, ticks: ticks.to_vec(), log: true }
    }
}

fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) =
        values.into_iter().filter(|v| v.is_finite()).fold(start, |(a, b), v| (a.min(v), b.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// The smallest of 1, 2, 2.5 and 5 times powers of ten that is not below `wanted`.
pub fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|f| f * power >= wanted * 0.999);
    factor.unwrap_or(10.0) * power
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = match self.log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    /// As many digits as the ticks need, of a logarithmic axis each tick by itself; thousands as k, there
    /// also M and G.
    fn format_ext(&self, value: &f64) -> String {
        let ticks = if self.log { std::slice::from_ref(value) } else { &self.ticks };
        let whole = |unit: f64, v: f64| (v / unit - (v / unit).round()).abs() < 1e-6;
        if ticks.iter().all(|&t| whole(500.0, t)) && self.ticks.iter().any(|t| *t >= 5_000.0) {
            return match *value {
                0.0 => "0".into(),
                value if self.log && value >= 1e9 => format!("{}G", value / 1e9),
                value if self.log && value >= 1e6 => format!("{}M", value / 1e6),
                value => format!("{}k", value / 1_000.0),
            };
        }
        let fits = |digits: &i32| ticks.iter().all(|&t| whole(10f64.powi(-digits), t));
        let digits = (0..3).find(fits).unwrap_or(3) as usize;
        format!("{value:.digits$}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_their_labels_short() {
        assert_eq!(labels(&Axis::linear([9.5, 10.5])), ["9.6", "9.8", "10.0", "10.2", "10.4"]);
        assert_eq!(labels(&Axis::from_zero([24_000.0])), ["0", "5k", "10k", "15k", "20k", "25k"]);
        assert_eq!(labels(&Axis::log(&[20.0, 500.0])), ["20", "500"]);
        assert_eq!(labels(&Axis::log(&[0.1, 1.0, 10.0, 1e4])), ["0.1", "1", "10", "10k"]);
        assert_eq!(labels(&Axis::log(&[1e4, 1e6, 2.5e9])), ["10k", "1M", "2.5G"]);
        assert!(!labels(&Axis::linear([])).is_empty() && !labels(&Axis::linear([3.0])).is_empty());
    }

    #[test]
    fn a_logarithmic_axis_puts_equal_ratios_at_equal_distances() {
        let axis = Axis::log(&[10.0, 100.0, 1000.0]);
        let [a, b, c] = [10.0, 100.0, 1000.0].map(|v| axis.map(&v, (0, 1000)));
        assert!((b - a).abs_diff(c - b) <= 1);
    }
}
