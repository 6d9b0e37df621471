//! The terminal: taken over for as long as runs are watched, and given back however that ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::screen::Screen;
use crate::config::Metric;
use crate::signals::Signals;
use crate::watch::Watched;

/// Between two looks at whether a signal has come.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows the runs until a key asks for the end.
///
/// # Errors
/// A terminal that cannot be used; the [`crate::error::Interrupted`] of a signal.
pub fn show(mut watched: Watched, metric: Option<Metric>, every: Duration) -> Result<()> {
    let signals = Signals::of(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let mut screen =
        Screen::new(metric, std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()));
    let mut terminal = Taken::take()?;
    loop {
        let next = Instant::now() + every;
        loop {
            terminal.0.draw(|frame| screen.draw(frame, &watched)).context(CANNOT)?;
            match news(next, &signals)? {
                None => break,
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    if screen.press(key, &watched) {
                        return Ok(());
                    }
                }
                Some(_) => {}
            }
        }
        watched.look();
    }
}

const CANNOT: &str = "cannot use the terminal";

/// What comes from the terminal until the time `next`.
fn news(next: Instant, signals: &Signals) -> Result<Option<Event>> {
    loop {
        signals.check()?;
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        if event::poll(left.min(PAUSE)).context(CANNOT)? {
            return event::read().map(Some).context(CANNOT);
        }
    }
}

/// The terminal while it is not the shell's. A panic gives it back before it is told.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // What was done of it by then.
                let _ = ratatui::try_restore();
                Err(error).context(CANNOT)
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // There may be no terminal any more.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}
