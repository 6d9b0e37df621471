//! Checkpoints: all that the rest of a training depends on, so that one that is cut off can be gone
//! on with to the bit.
//!
//! Each is a folder of two safetensors files, state and best weights so far, and a small JSON file
//! with the rest and a checksum of each file. Deferred rows are kept as they are: to bring them to
//! the present would round them otherwise than the unbroken training does. Of ranks each writes a file
//! of state, with the numbers of its rows, so that as many others can go on with them.

mod about;
mod difference;
mod folder;
mod parts;
mod writer;

pub use about::About;
pub use difference::differences;
pub use folder::{Checkpoints, Read, Snapshot};
pub use parts::Parts;
pub use writer::Writer;

use std::path::PathBuf;

use tch::Tensor;

use crate::device;
use crate::model::Model;
use crate::optim::State;
use crate::step::Stepper;

use super::losses::Losses;
use anyhow::{Context, Result};

/// What is read from a checkpoint.
pub struct Checkpoint {
    pub about: About,
    /// Of one process, as far as they are read.
    tensors: State,
    /// Files that they are read from, some rows at a time: of each rank that has written one.
    parts: Vec<PathBuf>,
}

/// The best weights so far, among the files of a checkpoint.
const BEST: &str = "best.safetensors";

/// Names of tensors begin with what they are of.
const WEIGHTS: &str = "weights/";
const OPTIMISERS: &str = "optimisers/";
const LOSSES: &str = "losses/";

/// A copy on the host of all tensors that a training depends on.
pub fn snapshot(model: &Model, stepper: &Stepper, losses: &Losses) -> State {
    on_host(views(model, stepper, losses))
}

/// The same tensors as they are, sharing memory.
fn views(model: &Model, stepper: &Stepper, losses: &Losses) -> State {
    let weights = model.weights().into_iter().map(|(name, own)| (format!("{WEIGHTS}{name}"), own));
    let named = |start: &'static str, state: State| {
        state.into_iter().map(move |(name, own)| (format!("{start}{name}"), own))
    };
    weights.chain(named(OPTIMISERS, stepper.state())).chain(named(LOSSES, losses.state())).collect()
}

/// Copies on the host, which can be written whatever they were views of.
pub fn on_host(state: impl IntoIterator<Item = (String, Tensor)>) -> State {
    state.into_iter().map(|(name, own)| (name, device::host_copy(&own))).collect()
}

/// Whether all weights of a snapshot are numbers.
fn is_finite(snapshot: &State) -> bool {
    let mut weights = snapshot.iter().filter(|(name, _)| name.starts_with(WEIGHTS));
    weights.all(|(_, own)| device::is_finite(own))
}

impl Checkpoint {
    /// Puts the tensors in the place of a training's at its start.
    ///
    /// # Errors
    /// Names what is missing or does not fit.
    pub fn restore(&self, model: &Model, stepper: &mut Stepper, losses: &mut Losses) -> Result<()> {
        let cannot =
            || format!("cannot go on with the checkpoint of step {}", self.about.standing.step);
        let in_parts = !self.parts.is_empty();
        let read = in_parts.then(|| parts::read(&self.parts, model, views(model, stepper, losses)));
        let read = read.transpose().with_context(cannot)?;
        let tensors = read.as_ref().unwrap_or(&self.tensors);
        let of = |start: &str| -> State {
            let own = |(name, own): &(String, Tensor)| {
                Some((name.strip_prefix(start)?.to_owned(), own.shallow_clone()))
            };
            tensors.iter().filter_map(own).collect()
        };
        model
            .restore(&of(WEIGHTS))
            .and_then(|()| stepper.restore(&of(OPTIMISERS)))
            .and_then(|()| losses.restore(&of(LOSSES)))
            .with_context(cannot)
    }
}
