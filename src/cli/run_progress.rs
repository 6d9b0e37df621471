//! Shows a training run: a bar on a terminal, lines in a log.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::table;
use crate::config::MetricKind;
use crate::train::Event;

/// Between plain lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Hears a run's events and shows them on standard error.
pub struct RunProgress {
    bar: ProgressBar,
    terminal: bool,
    started: Instant,
    last_line: Option<Instant>,
    /// At most.
    steps: u64,
}

impl RunProgress {
    /// A display for a run.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(steps_style("[{bar:30}] {pos}/{len} steps, {rate}{msg}, at most {eta} left"));
        Self { bar, terminal, started: Instant::now(), last_line: None, steps: 0 }
    }

    /// Shows an event.
    pub fn hear(&mut self, event: Event) {
        match event {
            Event::Started { steps, plan } => {
                self.steps = steps;
                self.bar.set_length(steps);
                self.line(plan.to_string());
            }
            Event::Step { step, loss } => {
                self.bar.set_position(step);
                self.bar.set_message(format!(", loss {loss:.4}"));
                if !self.terminal && self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    self.last_line = Some(Instant::now());
                    let seconds = self.started.elapsed().as_secs_f64();
                    let rate = step as f64 / seconds;
                    let left = (self.steps - step) as f64 / rate;
                    table::note(format_args!(
                        "step {step}/{}  loss {loss:.4}  {rate:.1} steps/s  at most {left:.0} s left",
                        self.steps
                    ));
                }
            }
            Event::Ranking { part, done, users } => {
                self.bar.set_message(format!(", ranking {} users: {done}/{users}", part.name()));
            }
            Event::Validated { step, metrics, better } => {
                let recall: Vec<String> = metrics
                    .iter()
                    .filter(|(metric, _)| metric.kind == MetricKind::Recall)
                    .map(|(metric, value)| format!("{metric} {:.2}", 100.0 * value))
                    .collect();
                let mark = if better { "  best so far" } else { "" };
                self.line(format!("step {step}: validation, %: {}{mark}", recall.join("  ")));
            }
            Event::Trained { .. } => {}
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

/// A style that may name `{rate}`: steps a second.
pub fn steps_style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, to: &mut dyn Write| {
        let _ = write!(to, "{:.1} steps/s", state.per_sec());
    };
    ProgressStyle::with_template(template)
        .expect("the template is well formed")
        .with_key("rate", rate)
        .progress_chars("=> ")
}
