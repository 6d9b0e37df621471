//! Where a training's batches come from.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Result;

use super::batch::{Assembly, Batch};
use super::host::HostDrawer;
use super::on_device::DeviceDrawer;
use crate::config::Config;
use crate::data::Sequences;
use crate::model::{Draws, Known};
use crate::ranks::Shard;

/// Draws the batches of a training run, on a thread of their own, ahead of the step.
pub enum Drawer<'a> {
    /// On the host.
    Host(HostDrawer<'a>),
    /// Chosen there, and cut on the step's device.
    Device(DeviceDrawer<'a>),
}

impl<'a> Drawer<'a> {
    /// Batches of `members`, users or sessions, for a catalogue of `items`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when there are too few of them for a batch.
    pub fn new(
        config: &Config,
        draws: Draws,
        assembly: Assembly,
        sequences: &'a Sequences,
        members: Vec<usize>,
        items: usize,
    ) -> Result<Self> {
        Ok(match draws {
            Draws::Host => {
                Self::Host(HostDrawer::new(config, sequences, members, items, assembly)?)
            }
            Draws::Device => {
                Self::Device(DeviceDrawer::new(config, sequences, members, items, assembly)?)
            }
        })
    }

    /// The same where items or users have features.
    pub fn knowing(self, known: &Known, id_dropout: f64) -> Self {
        match self {
            Self::Host(drawer) => Self::Host(drawer.knowing(known, id_dropout)),
            // Those of users and items with features are put together on the host.
            Self::Device(_) => self,
        }
    }

    /// The same, of each batch the part of a rank.
    pub fn shared(self, shard: Shard) -> Self {
        match self {
            Self::Host(drawer) => Self::Host(drawer.shared(shard)),
            Self::Device(_) => unreachable!("ranks draw on the host"),
        }
    }

    /// Batches an epoch.
    pub fn per_epoch(&self) -> u64 {
        match self {
            Self::Host(drawer) => drawer.per_epoch(),
            Self::Device(drawer) => drawer.per_epoch(),
        }
    }

    /// `[items + 1]`: the log of how often each item is expected among a query's candidates.
    pub fn log_counts(&self) -> Vec<f32> {
        match self {
            Self::Host(drawer) => drawer.log_counts(),
            Self::Device(drawer) => drawer.log_counts(),
        }
    }

    /// Runs `body` with a source of the batches of `steps`, in order.
    ///
    /// # Panics
    /// As the drawing of a batch does, where `body` asks for it.
    pub fn run<R>(
        &self,
        steps: Range<u64>,
        body: impl FnOnce(&mut dyn FnMut() -> Batch) -> R,
    ) -> R {
        let draw = |step| match self {
            Self::Host(drawer) => drawer.draw(step),
            Self::Device(drawer) => drawer.draw(step),
        };
        drawn_ahead(draw, steps, body)
    }
}

/// Batches that wait for their step at most.
const WAITING: usize = 3;

/// Runs `body` with a source of what `draw` gives for `steps`, in order, drawn on another thread.
fn drawn_ahead<B: Send, R>(
    draw: impl Fn(u64) -> B + Sync,
    steps: Range<u64>,
    body: impl FnOnce(&mut dyn FnMut() -> B) -> R,
) -> R {
    let draw = &draw;
    thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        let drawer = move || {
            for step in steps {
                // The receiver goes when `body` is done: no more batches are wanted.
                if send.send(draw(step)).is_err() {
                    break;
                }
            }
        };
        let drawing = thread::Builder::new()
            .name("batches".into())
            .spawn_scoped(scope, drawer)
            .expect("the system can start one thread more");
        let mut drawing = Some(drawing);
        body(&mut || {
            receive.recv().unwrap_or_else(|_| {
                // Only a panic ends it before the last step, and says why.
                let panic = drawing.take().and_then(|drawing| drawing.join().err());
                resume_unwind(panic.expect("a batch for every step"))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn why_a_batch_is_not_drawn_is_said_where_it_is_asked_for() {
        let draw = |step: u64| {
            assert!(step < 13, "nothing for step {step}");
            step
        };
        let taken = |steps: Range<u64>| {
            catch_unwind(|| {
                drawn_ahead(draw, steps.clone(), |next| steps.map(|_| next()).collect::<Vec<_>>())
            })
        };
        assert_eq!(taken(3..13).unwrap(), (3..13).collect::<Vec<u64>>());
        let panic = taken(3..20).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "nothing for step 13");
    }
}
