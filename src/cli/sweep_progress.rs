//! Shows a sweep: a bar for each point that runs and one for all, or lines in a log.

use indicatif::{MultiProgress, ProgressBar};

use super::progress::style;
use super::table;
use crate::sweep::Event;

/// Hears a sweep's events and shows them on standard error.
pub struct SweepProgress {
    bars: MultiProgress,
    total: ProgressBar,
    slots: Vec<ProgressBar>,
    terminal: bool,
    points: usize,
    ended: usize,
}

impl SweepProgress {
    /// A display for so many points, or about so many parts of them, in `jobs` slots.
    pub fn new(points: usize, jobs: usize) -> Self {
        let terminal = table::draws();
        let bars = MultiProgress::new();
        let add = |template| {
            let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
            bars.add(bar).with_style(style(template))
        };
        let slots =
            (0..jobs).map(|_| add("{wide_msg} {pos}/{len}{prefix}, at most {left} left")).collect();
        let total = add("[{bar:30}] {pos}/{len} points, {elapsed} gone, {left} left");
        total.set_length(points as u64);
        Self { bars, total, slots, terminal, points, ended: 0 }
    }

    /// Shows an event.
    pub fn hear(&mut self, event: Event) {
        match event {
            Event::Started { slot, point } => {
                let bar = &self.slots[slot];
                bar.reset();
                bar.set_length(0);
                bar.set_message(point.name.clone());
                bar.set_prefix("");
                if !self.terminal {
                    table::note(format_args!("{}: started", point.name));
                }
            }
            Event::Step { slot, step, steps, loss } => {
                self.slots[slot].set_length(steps);
                self.slots[slot].set_position(step);
                self.slots[slot].set_prefix(format!(", loss {loss:.4}"));
            }
            Event::Ended { slot, point, until, outcome } => {
                self.ended += 1;
                self.points = self.points.max(self.ended);
                let monitor = point.config.train.monitor;
                let far = until
                    .map_or("done".into(), |share| format!("{:.1} % of its steps", 100.0 * share));
                let what = match outcome {
                    Ok(best) => format!("{far}, {monitor} {:.2} % in validation", 100.0 * best),
                    Err(reason) => format!("failed: {reason}"),
                };
                let line = format!("[{}/{}] {}: {what}", self.ended, self.points, point.name);
                self.bars.suspend(|| table::note(line));
                self.slots[slot].set_message("");
                self.total.set_length(self.points as u64);
                self.total.inc(1);
            }
        }
    }
}

impl Drop for SweepProgress {
    fn drop(&mut self) {
        let _ = self.bars.clear();
    }
}
