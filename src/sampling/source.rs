//! Where a training's batches come from.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Result;
use tch::Device;

use super::{Batch, Batches, DeviceBatches, Uniform};
use crate::config::Config;
use crate::data::Sequences;

/// Draws the batches of a training run where its step is taken.
pub enum BatchSource<'a> {
    /// On the host, on a thread of their own, ahead of the step.
    Host(Batches<'a>),
    /// On the step's device, in their turn.
    Device(DeviceBatches),
}

impl<'a> BatchSource<'a> {
    /// Batches of `users` under `config`, on the host if `by_loops`, else on `device`, with
    /// negatives uniform over a catalogue of `items`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when there are too few users for a batch.
    pub fn new(
        config: &Config,
        sequences: &'a Sequences,
        users: Vec<usize>,
        items: usize,
        by_loops: bool,
        device: Device,
    ) -> Result<Self> {
        let Config { sampling, seed, .. } = config;
        let history = config.tower.history;
        if !by_loops {
            let batches =
                DeviceBatches::new(sequences, users, sampling, history, items, *seed, device)?;
            return Ok(Self::Device(batches));
        }
        let count = sampling.candidates();
        let negatives = Box::new(Uniform { items, count, seed: *seed });
        Batches::new(sequences, users, sampling, history, negatives, *seed).map(Self::Host)
    }

    /// Batches in which every user could be drawn once.
    pub fn per_epoch(&self) -> u64 {
        match self {
            Self::Host(batches) => batches.per_epoch(),
            Self::Device(batches) => batches.per_epoch(),
        }
    }

    /// Runs `body` with a source of the batches of `steps`, in order.
    pub fn run<R>(
        &self,
        steps: Range<u64>,
        body: impl FnOnce(&mut dyn FnMut() -> Batch) -> R,
    ) -> R {
        match self {
            Self::Host(batches) => ahead(batches, steps, body),
            Self::Device(batches) => {
                let mut steps = steps;
                body(&mut || batches.draw(steps.next().expect("a batch for every step")))
            }
        }
    }
}

/// Batches that wait for their step at most.
const WAITING: usize = 3;

/// Runs `body` with a source of the batches of `steps`, in order. They are drawn on another
/// thread; a batch is a function of its step, so they are those that [`Batches::draw`] gives.
pub(super) fn ahead<R>(
    batches: &Batches,
    steps: Range<u64>,
    body: impl FnOnce(&mut dyn FnMut() -> Batch) -> R,
) -> R {
    drawn_ahead(|step| batches.draw(step), steps, body)
}

/// Runs `body` with a source of what `draw` gives for `steps`, in order, drawn on another thread.
pub fn drawn_ahead<B: Send, R>(
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
        thread::Builder::new()
            .name("batches".into())
            .spawn_scoped(scope, drawer)
            .expect("the system can start one thread more");
        body(&mut || receive.recv().expect("a batch for every step"))
    })
}
