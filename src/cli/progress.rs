//! How far a long piece of work has got: a bar on a terminal, a line now and then elsewhere.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::table;

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Progress, towards a total where that is known, drawn on standard error; gone when dropped.
pub struct Bar {
    total: Option<u64>,
    message: String,
    bytes: bool,
    /// `None` where there is no terminal.
    bar: Option<ProgressBar>,
    begun: Instant,
    last: Instant,
    /// What was done when it began: of a download that is gone on with, what had come.
    before: Option<u64>,
}

impl Bar {
    /// A bar that counts things.
    pub fn new(total: u64, message: impl Into<String>) -> Bar {
        Bar::of(Some(total), message.into(), false, "[{wide_bar}] {pos}/{len}, {left} left")
    }

    /// A bar that counts bytes.
    pub fn of_bytes(total: u64, message: impl Into<String>) -> Bar {
        let amount = "[{wide_bar}] {bytes}/{total_bytes}, {left} left";
        Bar::of(Some(total), message.into(), true, amount)
    }

    /// One that counts bytes of which nobody knows how many there will be.
    pub fn of_unknown_bytes(message: impl Into<String>) -> Bar {
        Bar::of(None, message.into(), true, "{bytes}, {bytes_per_sec}")
    }

    fn of(total: Option<u64>, message: String, bytes: bool, amount: &str) -> Bar {
        let bar = table::draws().then(|| {
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let bar = bar.with_message(message.clone());
            bar.set_style(style(&format!("{{msg}} {amount}")));
            bar
        });
        let begun = Instant::now();
        Bar { total, message, bytes, bar, begun, last: begun, before: None }
    }

    /// What is being done.
    pub fn message(&mut self, message: impl Into<String>) {
        self.message = message.into();
        if let Some(bar) = &self.bar {
            bar.set_message(self.message.clone());
        }
    }

    /// How much of the total is done.
    pub fn set(&mut self, done: u64) {
        self.before.get_or_insert(done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            table::note(self.line(done, self.begun.elapsed()));
        }
    }

    fn line(&self, done: u64, elapsed: Duration) -> String {
        let amount = |amount: u64| match self.bytes {
            true => HumanBytes(amount).to_string(),
            false => HumanCount(amount).to_string(),
        };
        let (message, there) = (&self.message, amount(done));
        match self.total {
            Some(total) => {
                let percent = 100.0 * done as f64 / total.max(1) as f64;
                format!("{message}: {percent:.0} % ({there} of {})", amount(total))
            }
            None => {
                let new = done.saturating_sub(self.before.unwrap_or_default());
                let rate = amount((new as f64 / elapsed.as_secs_f64()) as u64);
                format!("{message}: {there}, {rate}/s")
            }
        }
    }
}

/// A bar's style, whose template may name `{rate}`, steps a second, and `{left}`, the time left.
pub fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, to: &mut dyn Write| {
        let _ = write!(to, "{:.1} steps/s", state.per_sec());
    };
    ProgressStyle::with_template(template)
        .expect("the template is well formed")
        .with_key("rate", rate)
        .with_key("left", left)
        .progress_chars("=> ")
}

/// Before anything is done nobody knows: indicatif's own says that no time is left.
fn left(state: &ProgressState, to: &mut dyn Write) {
    let _ = match state.per_sec() > 0.0 {
        true => write!(to, "{:#}", HumanDuration(state.eta())),
        false => to.write_char('?'),
    };
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn nobody_knows_the_time_left_before_anything_is_done() {
        let bar = ProgressBar::with_draw_target(Some(10), ProgressDrawTarget::hidden());
        let mut said = String::new();
        bar.update(|state| left(state, &mut said));
        assert_eq!(said, "?");
    }

    #[test]
    fn a_line_tells_what_how_far_and_of_how_much() {
        let after = Duration::from_secs(12);
        let line = |bar: Bar, done| bar.line(done, after);
        assert_eq!(line(Bar::new(4_000, "steps"), 1_000), "steps: 25 % (1,000 of 4,000)");
        let bytes = line(Bar::of_bytes(3 << 20, "reading a.csv"), 3 << 19);
        assert_eq!(bytes, "reading a.csv: 50 % (1.50 MiB of 3.00 MiB)");
        assert_eq!(line(Bar::new(0, "x"), 0), "x: 0 % (0 of 0)");
        let unknown = line(Bar::of_unknown_bytes("fetching a.zip"), 24 << 20);
        assert_eq!(unknown, "fetching a.zip: 24.00 MiB, 2.00 MiB/s");
        let mut bar = Bar::of_unknown_bytes("fetching a.zip");
        bar.set(12 << 20);
        assert_eq!(line(bar, 24 << 20), "fetching a.zip: 24.00 MiB, 1.00 MiB/s");
    }
}
