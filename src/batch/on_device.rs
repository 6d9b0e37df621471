//! Batches of users cut on the run's device, from sequences that live there: the host only says
//! which step it is.

use std::sync::Arc;

use anyhow::Result;
use rand::RngExt;
use tch::{Kind, Tensor};

use super::batch::{Assembly, Batch};
use super::chunk::Chunk;
use super::host::eligible;
use crate::config::{Config, Order, Origin, Per, Reject, Samples};
use crate::data::Sequences;
use crate::model::{Layout, Queries};
use crate::optim::TouchedRows;
use crate::random::{Purpose, stream};

/// As [`super::HostDrawer`], by tensor ops: the same distribution, other draws.
pub struct DeviceDrawer {
    /// `[interactions]` int32: all sequences, one behind the other.
    items: Tensor,
    /// `[users]` int64: where the sequence of each user that can be drawn starts; its length.
    starts: Tensor,
    lengths: Tensor,
    /// Items in the catalogue.
    catalogue: i64,
    batch: i64,
    first_position: i64,
    negatives: i64,
    history: i64,
    seed: u64,
    assembly: Assembly,
    /// `[batch]` and `[negatives]`: slots, the same of every batch.
    targets: Tensor,
    shared: Tensor,
}

impl DeviceDrawer {
    /// Whether such batches can be drawn here: distinct users anew for each, with uniform
    /// candidates for all of them. (Repeats are found on the host.)
    pub fn can(config: &Config) -> bool {
        let sampling = &config.sampling;
        !config.tower.repeats
            && sampling.samples == Samples::Users
            && sampling.order == Order::Random
            && sampling.ahead == 0.0
            && sampling.reject != Reject::Session
            && sampling.negatives.iter().all(|s| s.from == Origin::Uniform && s.per == Per::Batch)
    }

    /// Brings the sequences of `users` to the device.
    ///
    /// # Errors
    /// As [`super::HostDrawer::new`].
    pub fn new(
        config: &Config,
        sequences: &Sequences,
        users: &[usize],
        catalogue: usize,
        assembly: Assembly,
    ) -> Result<Self> {
        let Config { sampling, tower, seed, .. } = config;
        let users = eligible(sequences, users, sampling)?;
        let device = assembly.device;
        let list = |of: &dyn Fn(usize) -> usize| {
            let values: Vec<i64> = users.iter().map(|&user| of(user) as i64).collect();
            Tensor::from_slice(&values).to_device(device)
        };
        let ids: Vec<i32> = sequences.items.iter().map(|&id| id as i32).collect();
        let (batch, negatives) = (sampling.batch as i64, sampling.candidates() as i64);
        let whole = (Kind::Int64, device);
        Ok(Self {
            items: Tensor::from_slice(&ids).to_device(device),
            starts: list(&|user| sequences.offsets[user]),
            lengths: list(&|user| sequences.get(user).len()),
            catalogue: catalogue as i64,
            batch,
            first_position: sampling.first_position as i64,
            negatives,
            history: tower.history as i64,
            seed: *seed,
            assembly,
            targets: Tensor::arange(batch, whole),
            shared: Tensor::arange_start(batch, batch + negatives, whole),
        })
    }

    /// Batches an epoch.
    pub fn per_epoch(&self) -> u64 {
        (self.starts.size()[0] as u64).div_ceil(self.batch as u64)
    }

    /// `[items + 1]`: of uniform draws all alike.
    pub fn log_counts(&self) -> Vec<f32> {
        let expected = self.negatives as f64 / self.catalogue as f64;
        let mut all = vec![expected.ln() as f32; self.catalogue as usize + 1];
        all[0] = f32::NEG_INFINITY;
        all
    }

    /// The batch of training step `step`. Nothing is read back.
    pub fn draw(&self, step: u64) -> Batch {
        let (batch, first) = (self.batch, self.first_position);
        let device = self.assembly.device;
        let whole = (Kind::Int64, device);
        tch::manual_seed(stream(self.seed, Purpose::Batch, step).random::<u32>().into());
        let users = Tensor::randperm(self.starts.size()[0], whole).narrow(0, 0, batch);
        let starts = self.starts.index_select(0, &users);
        let room = self.lengths.index_select(0, &users) - first;
        // A product just below `room` may be rounded up to it.
        let uniform = Tensor::rand([batch], (Kind::Double, device));
        let drawn = (uniform * &room).floor().to_kind(Kind::Int64);
        let position = drawn.minimum(&(room - 1)) + first;
        let target = starts + &position;
        let targets = self.items.index_select(0, &target).to_kind(Kind::Int64);
        let length = position.clamp_max(self.history).unsqueeze(1);
        let order = Tensor::arange(self.history, whole).unsqueeze(0);
        let is_item = order.lt_tensor(&length);
        // Behind the history stands whatever follows it; it is taken out.
        let places = (target.unsqueeze(1) - length + order).minimum(&target.unsqueeze(1));
        let histories = self.items.index_select(0, &places.view(-1)).view_as(&places);
        let histories = histories.to_kind(Kind::Int64) * is_item;
        let negatives = Tensor::randint_low(1, self.catalogue + 1, [self.negatives], whole);
        let list = Tensor::cat(&[&histories.view(-1), &targets, &negatives], 0);
        let read = batch * self.history;
        let [inputs, scored] = [(0, read), (read, batch + self.negatives)]
            .map(|(from, count)| list.narrow(0, from, count));
        let rows = match self.assembly.tied {
            true => vec![list],
            false => vec![inputs.shallow_clone(), scored.shallow_clone()],
        };
        let layout = Layout::padded(&histories);
        let none = self.targets.narrow(0, 0, 0);
        Batch {
            chunks: vec![Chunk::whole(layout, read, batch, device)],
            queries: Queries::Last,
            inputs,
            starts: vec![],
            history: self.targets.shallow_clone(),
            scored,
            targets: self.targets.shallow_clone(),
            shared: self.shared.shallow_clone(),
            of_history: none.view([batch, 0]),
            of_query: none.view([batch, 0]),
            own: none.view([0, 2]),
            hits: vec![],
            repeats: None,
            rows: rows.into_iter().map(|ids| Arc::new(TouchedRows::new(ids))).collect(),
        }
    }
}
