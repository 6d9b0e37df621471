//! Shows a training run: a bar on a terminal, lines in a log.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::progress::style;
use super::table;
use crate::config::{Metric, MetricKind};
use crate::train::Event;

/// Between plain lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Columns of the narrowest terminal that lines are made for.
const WIDTH: usize = 80;

/// What the bar shows; wide enough a number of steps leaves the bar itself no room.
const STEPS: &str = "[{wide_bar}] {pos}/{len} steps, {rate}{msg}, at most {left} left";

/// Hears a run's events and shows them on standard error.
pub struct RunProgress {
    bar: ProgressBar,
    terminal: bool,
    started: Instant,
    last_line: Option<Instant>,
    /// At most.
    steps: u64,
    /// Those of a checkpoint.
    done: u64,
}

impl RunProgress {
    /// A display for a run.
    pub fn new() -> Self {
        let terminal = table::draws();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style(STEPS));
        Self { bar, terminal, started: Instant::now(), last_line: None, steps: 0, done: 0 }
    }

    /// Shows an event.
    pub fn hear(&mut self, event: Event) {
        match event {
            Event::Started { steps, done, plan } => {
                (self.steps, self.done) = (steps, done);
                self.bar.set_length(steps);
                self.line(plan.to_string());
                if done > 0 {
                    self.bar.set_position(done);
                    self.bar.reset_eta();
                    self.line(format!("resumed at step {done} of {steps}"));
                }
            }
            Event::Step { step, loss } => {
                self.bar.set_position(step);
                self.bar.set_message(format!(", loss {loss:.4}"));
                if !self.terminal && self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    self.last_line = Some(Instant::now());
                    let seconds = self.started.elapsed().as_secs_f64();
                    let rate = (step - self.done) as f64 / seconds;
                    let left = (self.steps - step) as f64 / rate;
                    table::note(format_args!(
                        "step {step}/{}  loss {loss:.4}  {rate:.1} steps/s  at most {left:.0} s left",
                        self.steps
                    ));
                }
            }
            Event::Ranking { part, done, users } => {
                let percent = 100 * done / users.max(1);
                self.bar.set_message(format!(", {} {percent} %", part.name()));
            }
            Event::Validated { step, metrics, better } => {
                self.bar.set_position(step);
                self.line(validated(step, metrics, better));
                let all = metrics.iter().map(|(metric, value)| format!("{metric} {value:.6}"));
                let all = all.collect::<Vec<_>>().join("  ");
                self.bar.suspend(|| table::detail(format_args!("  {all}")));
            }
            Event::Trained { .. } => {}
            Event::Advice(told) => self.line(format!("note: {told}")),
            Event::Stopped { step, best_step } => {
                self.line(format!("stopped at step {step}: nothing better since step {best_step}"));
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: String) {
        self.bar.suspend(|| table::note(text));
    }
}

/// What is said of a validation, in a line that a terminal of [`WIDTH`] columns holds: of more
/// list lengths than fit the first and the last ones.
fn validated(step: u64, metrics: &[(Metric, f64)], better: bool) -> String {
    let head = format!("step {step}: recall %");
    let mark = if better { " best" } else { "" };
    let mut cells: Vec<String> = metrics
        .iter()
        .filter(|(metric, _)| metric.kind == MetricKind::Recall)
        .map(|(metric, value)| format!(" @{} {:.2}", metric.at, 100.0 * value))
        .collect();
    let dots = " …";
    let wide = |cells: &[String]| {
        let parts = [&head, mark].into_iter().chain(cells.iter().map(String::as_str));
        parts.map(|part| part.chars().count()).sum::<usize>() > WIDTH
    };
    while wide(&cells) && cells.len() > 2 {
        let middle = cells.len() / 2;
        match cells.iter().position(|cell| cell == dots) {
            Some(at) => drop(cells.remove(if at > 1 { at - 1 } else { at + 1 })),
            None => cells[middle] = dots.into(),
        }
    }
    format!("{head}{}{mark}", cells.concat())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    fn line(step: u64, at: &[usize]) -> String {
        let metric = |&at: &usize| (Metric { kind: MetricKind::Recall, at }, 0.25);
        let mut metrics: Vec<_> = at.iter().map(metric).collect();
        metrics.push((Metric { kind: MetricKind::Mrr, at: 20 }, 0.5));
        validated(step, &metrics, true)
    }

    #[test]
    fn a_validation_is_told_in_a_line_of_eighty_columns() {
        let usual = line(500_000, &[20, 50, 100, 200, 500]);
        let cells = "@20 25.00 @50 25.00 @100 25.00 @200 25.00 @500 25.00";
        assert_eq!(usual, format!("step 500000: recall % {cells} best"));
        let many: Vec<usize> = (1..40).map(|n| 10 * n).collect();
        for line in [usual, line(1 << 40, &[20, 50, 100, 200, 500]), line(7, &many)] {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(line.ends_with(" best"), "{line}");
        }
        let cut = line(7, &many);
        assert!(cut.starts_with("step 7: recall % @10 25.00 ") && cut.contains(" … "), "{cut}");
        assert!(cut.contains(" @390 25.00 "), "{cut}");
    }

    /// What the bars say, drawn on a terminal of eighty columns.
    #[test]
    fn bars_fit_eighty_columns() {
        for message in [", loss 12.3456", ", validation 100 %"] {
            let said = Arc::new(Mutex::new(String::new()));
            let target = ProgressDrawTarget::term_like(Box::new(Terminal(said.clone())));
            let bar = ProgressBar::with_draw_target(Some(500_000), target);
            bar.set_style(style(STEPS));
            bar.set_message(message);
            bar.set_position(123_456);
            bar.force_draw();
            let said = said.lock().unwrap();
            let drawn = said.split('\r').rfind(|part| part.contains('[')).unwrap().trim_end();
            assert!(drawn.chars().count() <= WIDTH, "{drawn}");
            assert!(drawn.contains(message) && drawn.ends_with(" left"), "{drawn}");
        }
    }

    /// Eighty columns; keeps what is written, a `\r` for a cleared line.
    #[derive(Debug)]
    struct Terminal(Arc<Mutex<String>>);

    impl Terminal {
        fn put(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            WIDTH as u16
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(&format!("{text}\r"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.put("\r")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
