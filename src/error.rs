//! What tells a mistake in a call or a configuration from a failure while running.

use std::fmt;

/// A bad argument, option or configuration: found before work starts, ends the program with exit
/// status 2 where any other error ends it with 1.
#[derive(Debug)]
pub struct Misuse(pub String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// A signal has ended what was going on; the exit status is that of shells, 128 and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    pub signal: i32,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match signal_hook::low_level::signal_name(self.signal) {
            Some(name) => write!(f, "stopped by {name}"),
            None => write!(f, "stopped by signal {}", self.signal),
        }
    }
}

impl std::error::Error for Interrupted {}

/// A training has gone as far as it was asked to, short of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    pub step: u64,
    /// The most that it can take.
    pub steps: u64,
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "paused behind step {} of {}", self.step, self.steps)
    }
}

impl std::error::Error for Paused {}

/// As much of a text as an error can quote.
pub fn short(text: &str) -> String {
    cut(text, 200)
}

/// The first `most` characters of a text.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns early with a [`Misuse`] made from a format string.
#[macro_export]
macro_rules! misuse {
    ($($arg:tt)*) => {
        return Err(anyhow::Error::new($crate::error::Misuse(format!($($arg)*))))
    };
}

/// The exit status that an error stands for: that of an [`Interrupted`], 2 for a [`Misuse`] anywhere
/// in its chain, else 1.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    if let Some(Interrupted { signal }) = error.downcast_ref() {
        return 128 + *signal as u8;
    }
    if error.chain().any(|cause| cause.is::<Misuse>()) { 2 } else { 1 }
}
