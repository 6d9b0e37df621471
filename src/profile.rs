//! Where the time of a training run goes.

use std::time::{Duration, Instant};

/// Wall-clock time by part of the work.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    parts: Vec<(&'static str, Duration)>,
}

/// Takes the time from part to part.
pub struct Lap(Instant);

impl Profile {
    /// Starts the clock.
    pub fn lap(&self) -> Lap {
        Lap(Instant::now())
    }

    /// Counts the time since `lap` was last used for `part`.
    pub fn add(&mut self, part: &'static str, lap: &mut Lap) {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut lap.0, now);
        match self.parts.iter_mut().find(|(name, _)| *name == part) {
            Some((_, sum)) => *sum += took,
            None => self.parts.push((part, took)),
        }
    }

    /// Puts another's parts behind its own.
    pub fn append(&mut self, other: &Profile) {
        self.parts.extend_from_slice(&other.parts);
    }

    /// Parts in their order, with the milliseconds that each took in all.
    pub fn milliseconds(&self) -> Vec<(&'static str, f64)> {
        self.parts.iter().map(|(name, took)| (*name, 1e3 * took.as_secs_f64())).collect()
    }
}
