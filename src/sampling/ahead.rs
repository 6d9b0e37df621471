//! Batches drawn ahead of the step, on a thread of their own.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::{Batch, Batches};

/// Batches that wait for their step at most.
const WAITING: usize = 3;

/// Runs `body` with a source of the batches of `steps`, in order. They are drawn on another
/// thread; a batch is a function of its step, so they are those that [`Batches::draw`] gives.
pub fn ahead<R>(
    batches: &Batches,
    steps: Range<u64>,
    body: impl FnOnce(&mut dyn FnMut() -> Batch) -> R,
) -> R {
    thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        let drawer = move || {
            for step in steps {
                // The receiver goes when `body` is done: no more batches are wanted.
                if send.send(batches.draw(step)).is_err() {
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
