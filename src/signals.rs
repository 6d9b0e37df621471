//! SIGINT and SIGTERM: the first of them asks for a good end, a second SIGINT ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Interrupted;

/// Which signal has come. The default hears none.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Listens from now on, for the rest of the process: neither signal ends it by itself any more.
    ///
    /// # Errors
    /// When the system lets nobody listen.
    pub fn listen() -> Result<Self> {
        let signals = Self::default();
        let again = Arc::new(AtomicBool::new(false));
        let listen = || -> std::io::Result<()> {
            // In this order: the first SIGINT must not find what it sets itself.
            flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, again.clone())?;
            flag::register(SIGINT, again)?;
            for signal in [SIGINT, SIGTERM] {
                flag::register_usize(signal, signals.0.clone(), signal as usize)?;
            }
            Ok(())
        };
        listen().context("cannot listen for signals")?;
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
