//! Signals that ask for a good end. Of [`Signals::listen`] a second SIGINT ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Interrupted;

const CANNOT: &str = "cannot listen for signals";

/// Which signal has come. The default hears none.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Listens from now on, for the rest of the process: neither signal ends it by itself any more.
    ///
    /// # Errors
    /// When the system lets nobody listen.
    pub fn listen() -> Result<Self> {
        let again = Arc::new(AtomicBool::new(false));
        // In this order: the first SIGINT must not find what it sets itself.
        flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, again.clone())
            .and_then(|_| flag::register(SIGINT, again))
            .context(CANNOT)?;
        Self::of(&[SIGINT, SIGTERM])
    }

    /// Listens for these, none of which ends the process by itself any more, however often it comes.
    ///
    /// # Errors
    /// When the system lets nobody listen.
    pub fn of(all: &[i32]) -> Result<Self> {
        let signals = Self::default();
        for &signal in all {
            flag::register_usize(signal, signals.0.clone(), signal as usize).context(CANNOT)?;
        }
        Ok(signals)
    }

    /// The latest that has come.
    fn received(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }

    /// What a signal that has come asks for.
    pub fn interruption(&self) -> Option<Interrupted> {
        self.received().map(|signal| Interrupted { signal })
    }

    /// An error once a signal has come.
    ///
    /// # Errors
    /// The [`Interrupted`] that says which.
    pub fn check(&self) -> Result<()> {
        self.interruption().map_or(Ok(()), |interrupted| Err(interrupted.into()))
    }
}
