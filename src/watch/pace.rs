//! How fast a run goes, by the clock of its log.

use std::collections::VecDeque;

/// Seconds that it is taken over.
const SPAN: f64 = 30.0;

/// Between two marks that are kept.
const APART: f64 = 1.0;

/// Steps by the seconds of the log, of the last while.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    marks: VecDeque<(u64, f64)>,
}

impl Pace {
    /// Takes in that `step` was done at `seconds`. What lies before the latest mark begins anew.
    pub fn mark(&mut self, step: u64, seconds: f64) {
        let marks = &mut self.marks;
        if marks.back().is_some_and(|last| step < last.0 || seconds < last.1) {
            marks.clear();
        }
        if let [.., before, last] = marks.make_contiguous()
            && last.1 - before.1 < APART
        {
            marks.pop_back();
        }
        marks.push_back((step, seconds));
        while marks.len() > 2 && seconds - marks[1].1 >= SPAN {
            marks.pop_front();
        }
    }

    /// Steps a second, what stands between them included; `None` as long as nobody can know.
    pub fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let (steps, seconds) = ((last.0 - first.0) as f64, last.1 - first.1);
        (steps > 0.0 && seconds > 0.0).then(|| steps / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_while() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(), None);
        pace.mark(100, 10.0);
        assert_eq!(pace.per_second(), None);
        // A hundred a second for a minute, then ten a second for another.
        for tenth in 0..=600 {
            pace.mark(100 + 10 * tenth, 10.0 + tenth as f64 / 10.0);
        }
        assert!((pace.per_second().unwrap() - 100.0).abs() < 1e-9);
        assert!(pace.marks.len() < 40, "{}", pace.marks.len());
        for second in 1..=60 {
            pace.mark(6100 + 10 * second, 70.0 + second as f64);
        }
        assert!((pace.per_second().unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn few_lines_will_do_and_a_run_that_begins_anew_has_none_before() {
        let mut pace = Pace::default();
        pace.mark(0, 0.0);
        pace.mark(60, 120.0);
        pace.mark(180, 240.0);
        assert_eq!(pace.per_second(), Some(1.0));
        pace.mark(20, 250.0);
        assert_eq!(pace.per_second(), None);
    }
}
