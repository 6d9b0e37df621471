//! Batches of users that the host chooses and the run's device cuts, from sequences that live there:
//! what is sent is a few numbers a user.

use std::sync::Arc;

use anyhow::Result;
use tch::{Kind, Tensor};

use super::batch::{Assembly, Batch};
use super::chunk::Chunk;
use super::host::HostDrawer;
use crate::config::{Config, Per, Reject, Samples};
use crate::data::Sequences;
use crate::device::Parcel;
use crate::model::{Layout, Queries};
use crate::optim::TouchedRows;

/// As [`HostDrawer`]: the same users, targets and candidates.
pub struct DeviceDrawer<'a> {
    host: HostDrawer<'a>,
    /// `[interactions + 1]` int32: all sequences, one behind the other, and padding.
    items: Tensor,
    /// `[history]` int64: 0, 1, 2, ...
    order: Tensor,
    /// Slots: as many as a whole batch has.
    slots: Tensor,
    /// The place of padding in `items`.
    padding: Tensor,
    history: i64,
    assembly: Assembly,
}

// SAFETY: nothing writes to the tensors, and libtorch lets several threads read one.
unsafe impl Sync for DeviceDrawer<'_> {}

impl<'a> DeviceDrawer<'a> {
    /// Whether such batches can be cut here: of users, with candidates for all of them. (Repeats
    /// and what is a history's own are found on the host.)
    pub fn can(config: &Config) -> bool {
        let sampling = &config.sampling;
        !config.tower.repeats
            && config.tower.item_features.is_empty()
            && config.tower.user_features.is_empty()
            && sampling.samples == Samples::Users
            && sampling.reject != Reject::Session
            && sampling.negatives.iter().all(|source| source.per == Per::Batch)
    }

    /// Brings the sequences to the device.
    ///
    /// # Errors
    /// As [`HostDrawer::new`].
    pub fn new(
        config: &Config,
        sequences: &'a Sequences,
        users: Vec<usize>,
        catalogue: usize,
        assembly: Assembly,
    ) -> Result<Self> {
        let host = HostDrawer::new(config, sequences, users, catalogue, assembly)?;
        let ids: Vec<i32> = sequences.items.iter().map(|&id| id as i32).chain([0]).collect();
        let (device, history) = (assembly.device, config.tower.history as i64);
        let slots = (config.sampling.batch + config.sampling.candidates()) as i64;
        let first = |count: i64| Tensor::arange(count, (Kind::Int64, device));
        Ok(Self {
            host,
            items: Tensor::from_slice(&ids).to_device(device),
            padding: Tensor::from(ids.len() as i64 - 1).to_device(device),
            order: first(history),
            slots: first(slots),
            history,
            assembly,
        })
    }

    /// As [`HostDrawer::per_epoch`].
    pub fn per_epoch(&self) -> u64 {
        self.host.per_epoch()
    }

    /// As [`HostDrawer::log_counts`].
    pub fn log_counts(&self) -> Vec<f32> {
        self.host.log_counts()
    }

    /// The batch of training step `step`. Nothing is read back.
    pub fn draw(&self, step: u64) -> Batch {
        let chosen = self.host.chosen(step);
        let samples = self.host.samples(step, &chosen);
        let scored =
            [samples.targets.clone(), self.host.candidates(step, &samples).shared].concat();
        let (batch, history, whole) = (chosen.len() as i64, self.history, scored.len() as i64);
        let list = |of: &dyn Fn((usize, usize, i64)) -> i64| -> Vec<i64> {
            let own = chosen
                .iter()
                .zip(0..)
                .map(|(own, row)| of((own.first + own.read.start, own.read.len(), row)));
            own.collect()
        };
        let mut parcel = Parcel::default();
        let starts = parcel.add(&list(&|(start, ..)| start as i64));
        let lengths = parcel.add(&list(&|(_, length, _)| length as i64));
        // An empty history has its place 0, which is padding.
        let last =
            parcel.add(&list(&|(_, length, row)| row * history + (length as i64 - 1).max(0)));
        let counts = parcel.add(&list(&|(_, length, _)| length.max(1) as i64));
        let scored = parcel.add(&scored);
        let sent = parcel.send(self.assembly.device);
        let column = |place| sent.list(place).unsqueeze(1);
        let is_item = self.order.lt_tensor(&column(lengths));
        let places = (column(starts) + &self.order).where_self(&is_item, &self.padding);
        let inputs = self.items.index_select(0, &places.view(-1)).to_kind(Kind::Int64);
        let scored = sent.list(scored);
        let rows = match self.assembly.tied {
            true => vec![Tensor::cat(&[&inputs, &scored], 0)],
            false => vec![inputs, scored],
        };
        let layout = Layout::padded_to(is_item, sent.list(last), sent.list(counts));
        let slots = [self.slots.narrow(0, 0, batch), self.slots.narrow(0, batch, whole - batch)];
        put_together(rows, layout, slots)
    }
}

impl Batch {
    /// Of a batch that was cut on the device, the tensors in which others of its size differ.
    pub fn differing(&self) -> Vec<&Tensor> {
        let layout = self.chunks[0].layout().padding().expect("cut on the device");
        self.rows.iter().map(|rows| rows.ids()).chain(layout).collect()
    }

    /// The same in memory of its own.
    pub fn copied(&self) -> Self {
        let copies: Vec<Tensor> = self.differing().into_iter().map(Tensor::copy).collect();
        let [rows @ .., items, last, counts] = &copies[..] else { unreachable!("all of them") };
        let rows = rows.iter().map(Tensor::shallow_clone).collect();
        let [items, last, counts] = [items, last, counts].map(Tensor::shallow_clone);
        let slots = [&self.targets, &self.shared].map(Tensor::shallow_clone);
        put_together(rows, Layout::padded_to(items, last, counts), slots)
    }
}

/// A batch of users whose histories lie as `layout` says, from its `rows`, those of the one table or of
/// both, and the slots of its targets and of its shared candidates.
fn put_together(rows: Vec<Tensor>, layout: Layout, [targets, shared]: [Tensor; 2]) -> Batch {
    let batch = layout.histories();
    let positions = batch * layout.longest();
    let (inputs, scored) = match &rows[..] {
        [list] => {
            let whole = list.size()[0];
            (list.narrow(0, 0, positions), list.narrow(0, positions, whole - positions))
        }
        [inputs, scored] => (inputs.shallow_clone(), scored.shallow_clone()),
        _ => unreachable!("one table or two"),
    };
    let none = targets.narrow(0, 0, 0);
    let device = targets.device();
    Batch {
        chunks: vec![Chunk::whole(layout, positions, batch, device)],
        queries: Queries::Last,
        inputs,
        starts: vec![],
        history: targets.shallow_clone(),
        scored,
        in_order: true,
        shared,
        of_history: none.view([batch, 0]),
        of_query: none.view([batch, 0]),
        targets,
        own: none.view([0, 2]),
        hits: vec![],
        repeats: None,
        composition: None,
        users: None,
        rows: rows.into_iter().map(|ids| Arc::new(TouchedRows::new(ids))).collect(),
        read_then_scored: true,
        share: 1.0,
    }
}
