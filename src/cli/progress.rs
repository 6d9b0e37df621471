//! How far a long piece of work has got: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::table;

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Progress towards a total, drawn on standard error; gone when dropped.
pub struct Bar {
    total: u64,
    message: String,
    bytes: bool,
    /// `None` where there is no terminal.
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Bar {
    /// A bar that counts things.
    pub fn new(total: u64, message: impl Into<String>) -> Bar {
        Bar::of(total, message.into(), false, "{pos}/{len}")
    }

    /// A bar that counts bytes.
    pub fn of_bytes(total: u64, message: impl Into<String>) -> Bar {
        Bar::of(total, message.into(), true, "{bytes}/{total_bytes}")
    }

    fn of(total: u64, message: String, bytes: bool, amount: &str) -> Bar {
        let bar = table::draws().then(|| {
            let bar = ProgressBar::new(total).with_message(message.clone());
            let template = format!("{{msg}} [{{wide_bar}}] {amount}, {{eta}} left");
            // A template that cannot be read would be a mistake in this file; the usual one does.
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Bar { total, message, bytes, bar, last: Instant::now() }
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
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            table::note(self.line(done));
        }
    }

    fn line(&self, done: u64) -> String {
        let percent = 100.0 * done as f64 / self.total.max(1) as f64;
        let (done, total) = match self.bytes {
            true => (HumanBytes(done).to_string(), HumanBytes(self.total).to_string()),
            false => (HumanCount(done).to_string(), HumanCount(self.total).to_string()),
        };
        format!("{}: {percent:.0} % ({done} of {total})", self.message)
    }
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
    use super::*;

    #[test]
    fn a_line_tells_what_how_far_and_of_how_much() {
        assert_eq!(Bar::new(4_000, "steps").line(1_000), "steps: 25 % (1,000 of 4,000)");
        let bytes = Bar::of_bytes(3 << 20, "reading a.csv").line(3 << 19);
        assert_eq!(bytes, "reading a.csv: 50 % (1.50 MiB of 3.00 MiB)");
        assert_eq!(Bar::new(0, "x").line(0), "x: 0 % (0 of 0)");
    }
}
