//! Batches cut on the run's device, from sequences that live there: the host only says which step
//! it is.

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::Batch;
use super::batch::eligible;
use crate::config::SamplingConfig;
use crate::data::Sequences;
use crate::optim::TouchedRows;
use crate::random::{Purpose, stream};

use anyhow::Result;

/// As [`super::Batches`], by tensor ops: the same distribution, other draws.
pub struct DeviceBatches {
    /// `[interactions]` int32: all sequences, one behind the other.
    items: Tensor,
    /// `[users]` int64: where the sequence of each user that can be drawn starts; its length.
    starts: Tensor,
    lengths: Tensor,
    /// Items in the catalogue.
    catalogue: i64,
    config: SamplingConfig,
    history: i64,
    seed: u64,
    device: Device,
}

impl DeviceBatches {
    /// Brings the sequences of `users` to `device`.
    ///
    /// # Errors
    /// As [`super::Batches::new`].
    pub fn new(
        sequences: &Sequences,
        users: Vec<usize>,
        config: &SamplingConfig,
        history: usize,
        catalogue: usize,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        let users = eligible(sequences, users, config)?;
        let list = |of: &dyn Fn(usize) -> usize| {
            let values: Vec<i64> = users.iter().map(|&user| of(user) as i64).collect();
            Tensor::from_slice(&values).to_device(device)
        };
        let ids: Vec<i32> = sequences.items.iter().map(|&id| id as i32).collect();
        Ok(Self {
            items: Tensor::from_slice(&ids).to_device(device),
            starts: list(&|user| sequences.offsets[user]),
            lengths: list(&|user| sequences.get(user).len()),
            catalogue: catalogue as i64,
            config: config.clone(),
            history: history as i64,
            seed,
            device,
        })
    }

    /// Batches in which every user could be drawn once.
    pub fn per_epoch(&self) -> u64 {
        self.starts.numel().div_ceil(self.config.batch) as u64
    }

    /// The batch of training step `step`. Nothing is read back.
    pub fn draw(&self, step: u64) -> Batch {
        let SamplingConfig { batch, first_position, .. } = self.config;
        let (batch, first) = (batch as i64, first_position as i64);
        let whole = (Kind::Int64, self.device);
        tch::manual_seed(stream(self.seed, Purpose::Batch, step).random::<u32>().into());
        let users = Tensor::randperm(self.starts.size()[0], whole).narrow(0, 0, batch);
        let starts = self.starts.index_select(0, &users);
        let room = self.lengths.index_select(0, &users) - first;
        // A product just below `room` may be rounded up to it.
        let uniform = Tensor::rand([batch], (Kind::Double, self.device));
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
        let count = self.config.candidates() as i64;
        let negatives = Tensor::randint_low(1, self.catalogue + 1, [count], whole);
        let ids = Tensor::cat(&[&histories.view(-1), &targets, &negatives], 0);
        Batch { histories, targets, negatives, rows: TouchedRows::by_tensors(ids), hits: vec![] }
    }
}
