//! One batch.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::repeats::{Scored, UNSCORED};
use super::{Candidates, Chunk, Repeated};
use crate::config::Reject;
use crate::device::Parcel;
use crate::model::{Composition, Pairs, Queries};
use crate::optim::{Distinct, TouchedRows};

/// Histories, what is asked for after them, and the candidates of each query. int64 tensors on the
/// run's device.
///
/// A *query* is a position of a history whose next item is to be found: every one where positions
/// are the samples, the last one where users are. Items that scores are taken with stand in
/// `scored`; targets and candidates are named by their *slot*, the row in it.
pub struct Batch {
    /// The batch in pieces for the encoder, in order: on a host several threads take them.
    pub chunks: Vec<Chunk>,
    pub queries: Queries,
    /// `[positions]`: the items that the encoder reads, history by history, oldest first. (Where a
    /// batch is cut on the device, histories are padded with 0 at the end.)
    pub inputs: Tensor,
    /// `[histories + 1]`: where each history begins in `inputs`; empty where the batch is cut on
    /// the device.
    pub starts: Vec<u32>,
    /// `[queries]`: the history of each query, from 0.
    pub history: Tensor,
    /// `[scored]`: item ids; of a batch that the host put together distinct and ascending.
    pub scored: Tensor,
    /// Whether `scored` has the targets in their order and then the shared candidates, and nothing
    /// else.
    pub in_order: bool,
    /// `[queries]`: slots of the items to find.
    pub targets: Tensor,
    /// `[shared]`: slots of the candidates of every query.
    pub shared: Tensor,
    /// `[histories, n]`: slots of the candidates of a history's queries.
    pub of_history: Tensor,
    /// `[queries, n]`: slots of a query's own candidates.
    pub of_query: Tensor,
    /// `[pairs, 2]`: (history, slot) of every history's own items, targets among them, as far as
    /// they are scored, ascending; for [`Reject::Session`].
    pub own: Tensor,
    /// Shared candidates that are a query's target, ascending: (query, place in `shared`). Found on
    /// the host for [`Reject::Label`] and one query a history.
    pub hits: Vec<(u32, u32)>,
    /// What is scored and in its query's history, where repeats are on.
    pub repeats: Option<Repeated>,
    /// The rows of each of the model's tables that a step reads. For loops on a host and one table:
    /// [inputs, targets, shared candidates, those of histories, those of queries].
    pub rows: Vec<Arc<TouchedRows>>,
    /// Where items have features: what they are composed of. Items are named by their places there.
    pub composition: Option<Composition>,
    /// Where users have features: those of each history's user.
    pub users: Option<Pairs>,
    /// Whether the rows of one table are those of `inputs` and behind them those of `scored`.
    pub read_then_scored: bool,
    /// The share of all queries of its step that it has: less than 1 where ranks share a batch.
    pub share: f64,
}

/// Histories and what is asked for after them.
pub struct Samples {
    /// The items that are read, one history behind the other.
    pub items: Vec<i64>,
    /// `[histories + 1]`: where each history begins.
    pub starts: Vec<u32>,
    pub queries: Queries,
    /// `[queries]`
    pub targets: Vec<i64>,
}

/// What a batch is put together for.
#[derive(Clone, Copy, Debug)]
pub struct Assembly {
    pub device: Device,
    /// Chunks at most.
    pub chunks: usize,
    /// Whether loops of the host read it: they want the rows of one table in one list, and each
    /// row's places in it found.
    pub host: bool,
    /// Whether one table serves input and output.
    pub tied: bool,
    pub reject: Reject,
    /// Whether scores gain by repeats.
    pub repeats: bool,
}

impl Samples {
    /// The number of histories.
    pub fn histories(&self) -> usize {
        self.starts.len() - 1
    }

    /// How long each history is.
    pub fn lengths(&self) -> Vec<usize> {
        self.starts.windows(2).map(|own| (own[1] - own[0]) as usize).collect()
    }

    /// `[positions]`: the history of each position.
    fn history_of_positions(&self) -> Vec<i64> {
        let mut all = Vec::with_capacity(self.items.len());
        for (history, end) in self.starts[1..].iter().enumerate() {
            all.resize(*end as usize, history as i64);
        }
        all
    }
}

impl Batch {
    /// [`Batch::in_chunks`] where a whole batch is cut.
    #[cfg(test)]
    pub fn new(samples: Samples, candidates: Candidates, assembly: Assembly) -> Self {
        let cuts = Chunk::cuts(&samples.lengths(), assembly.chunks);
        let numbered: Vec<(u64, usize)> =
            (0..).zip(cuts.iter().map(std::ops::Range::len)).collect();
        Self::in_chunks(samples, candidates, assembly, &numbered)
    }

    /// Puts a batch together on the host, in chunks of these numbers and of so many neighbouring
    /// histories each.
    pub fn in_chunks(
        samples: Samples,
        candidates: Candidates,
        assembly: Assembly,
        numbered: &[(u64, usize)],
    ) -> Self {
        let Assembly { device, host, tied, reject, repeats, .. } = assembly;
        let (positions, queries) = (samples.items.len(), samples.targets.len());
        let histories = samples.histories();
        let parts = [&candidates.shared, &candidates.of_history, &candidates.of_query];
        let sizes = [queries, parts[0].len(), parts[1].len(), parts[2].len()];
        let mut list = Vec::with_capacity(positions + sizes.iter().sum::<usize>());
        list.extend_from_slice(&samples.items);
        list.extend_from_slice(&samples.targets);
        parts.iter().for_each(|part| list.extend_from_slice(part));
        let distinct = Distinct::of(&list);
        let slots = Slots::new(&distinct, positions, list.len());

        let of_positions = samples.history_of_positions();
        let of_queries = match samples.queries {
            Queries::Every => of_positions.clone(),
            Queries::Last => (0..histories as i64).collect(),
        };
        let own = match reject {
            Reject::Session => {
                let of_places = of_positions.iter().chain(&of_queries).copied().collect::<Vec<_>>();
                slots.own(&distinct, &of_places, histories)
            }
            Reject::Label | Reject::None => vec![],
        };
        let hits = match (reject, samples.queries) {
            (Reject::Label, Queries::Last) => {
                hits(&distinct, positions as u32, queries as u32, parts[0].len() as u32)
            }
            _ => vec![],
        };

        let repeats = repeats.then(|| {
            let mut rest = &slots.slots[..];
            let [targets, shared, of_history, of_query] = sizes.map(|size| {
                let part;
                (part, rest) = rest.split_at(size);
                part
            });
            let (starts, queries) = (&samples.starts, samples.queries);
            let (read, slots) = (&slots.read(&distinct), slots.scored.len());
            let scored =
                Scored { starts, queries, read, targets, shared, of_history, of_query, slots };
            Repeated::new(&scored, device)
        });

        let chunks = Chunk::each(numbered, &samples.lengths(), samples.queries, device);
        let mut parcel = Parcel::default();
        let read = if host && tied { &[] } else { &samples.items[..] };
        let [of_slots, items, scored_ids, history, own] =
            [&slots.slots, read, &slots.scored, &of_queries, &own].map(|list| parcel.add(list));
        // Tensor ops want all of it on the device, ahead of the step.
        let layouts = chunks.iter().filter(|_| !host).map(|own| own.pack(&mut parcel));
        let layouts: Vec<_> = layouts.collect();
        let pairs = repeats.iter().filter(|_| !host).map(|own| own.pack(&mut parcel)).next();
        let sent = parcel.send(device);
        chunks.iter().zip(&layouts).for_each(|(chunk, lists)| chunk.unpack(lists, &sent));
        repeats.iter().zip(pairs).for_each(|(repeats, place)| repeats.unpack(place, &sent));
        let by_slot = sent.list(of_slots).split_with_sizes(sizes.map(|size| size as i64), 0);
        let scored = sent.list(scored_ids);
        let (inputs, rows) = match (host, tied) {
            (true, true) => {
                let list = Tensor::from_slice(&list);
                let inputs = list.narrow(0, 0, positions as i64);
                (inputs, vec![Arc::new(TouchedRows::known(list, distinct))])
            }
            (_, true) => {
                let inputs = sent.list(items);
                let all = TouchedRows::new(sent.lists(items, scored_ids));
                (inputs, vec![Arc::new(all)])
            }
            (_, false) => {
                let inputs = sent.list(items);
                let rows = [&inputs, &scored].map(|ids| TouchedRows::new(ids.shallow_clone()));
                if host {
                    rows.iter().for_each(|rows| _ = rows.distinct());
                }
                (inputs, rows.map(Arc::new).into())
            }
        };
        let matrix = |at: usize, rows: usize| {
            by_slot[at].view([rows as i64, (sizes[at] / rows.max(1)) as i64])
        };
        Self {
            chunks,
            queries: samples.queries,
            inputs,
            starts: samples.starts,
            history: sent.list(history),
            scored,
            in_order: false,
            targets: by_slot[0].shallow_clone(),
            shared: by_slot[1].shallow_clone(),
            of_history: matrix(2, histories),
            of_query: matrix(3, queries),
            own: sent.list(own).view([-1, 2]),
            hits,
            repeats,
            rows,
            composition: None,
            users: None,
            read_then_scored: !(host && tied),
            share: 1.0,
        }
    }

    /// `[scored]`: the ids of the items that scores are taken with.
    pub fn scored_items(&self) -> Tensor {
        match &self.composition {
            Some(composition) => composition.ids.index_select(0, &(&self.scored - 1)),
            None => self.scored.shallow_clone(),
        }
    }

    /// The number of queries.
    pub fn query_count(&self) -> i64 {
        self.targets.size()[0]
    }

    /// The number of histories.
    pub fn histories(&self) -> i64 {
        self.of_history.size()[0]
    }

    /// M: the candidates of a query.
    pub fn candidates(&self) -> i64 {
        self.shared.size()[0] + self.of_history.size()[1] + self.of_query.size()[1]
    }

    /// Of `of_scored` `[scored, …]` what belongs to the targets of `count` queries from `from` on, and
    /// to the shared candidates.
    pub fn targets_and_shared(&self, of_scored: &Tensor, from: i64, count: i64) -> [Tensor; 2] {
        let queries = self.query_count();
        if !self.in_order {
            let targets = self.targets.narrow(0, from, count);
            return [&targets, &self.shared].map(|slots| of_scored.index_select(0, slots));
        }
        let sizes = [queries, self.shared.size()[0]];
        let [targets, shared] = of_scored.split_with_sizes(sizes, 0).try_into().expect("two parts");
        [if count < queries { targets.narrow(0, from, count) } else { targets }, shared]
    }

    /// `[histories, scored]` bool: whether an item is the history's own.
    pub fn own_items(&self) -> Tensor {
        let device = self.own.device();
        let own = Tensor::zeros([self.histories(), self.scored.size()[0]], (Kind::Bool, device));
        let (history, slot) = (self.own.select(1, 0), self.own.select(1, 1));
        let yes = Tensor::ones([1], (Kind::Bool, device));
        own.index_put(&[Some(history), Some(slot)], &yes, false)
    }
}

/// The items of a list that are scored, those from place `first` on.
struct Slots {
    first: usize,
    /// Distinct ids, ascending, and the distinct row of the list that each is.
    scored: Vec<i64>,
    rows: Vec<u32>,
    /// For each scored place its slot.
    slots: Vec<i64>,
}

impl Slots {
    fn new(distinct: &Distinct, first: usize, places: usize) -> Self {
        let (mut scored, mut rows, mut slots) = (vec![], vec![], vec![0; places - first]);
        for row in 0..distinct.len() {
            let own = distinct.places(row);
            let own = &own[own.partition_point(|&place| (place as usize) < first)..];
            own.iter().for_each(|&place| slots[place as usize - first] = scored.len() as i64);
            if !own.is_empty() {
                scored.push(i64::from(distinct.ids[row]));
                rows.push(row as u32);
            }
        }
        Self { first, scored, rows, slots }
    }

    /// `[positions]`: the slots of what is read, [`UNSCORED`] where it is not scored.
    fn read(&self, distinct: &Distinct) -> Vec<u32> {
        let mut read = vec![UNSCORED; self.first];
        for (slot, &row) in self.rows.iter().enumerate() {
            let places = distinct.places(row as usize).iter();
            let own = places.take_while(|place| (**place as usize) < self.first);
            own.for_each(|place| read[*place as usize] = slot as u32);
        }
        read
    }

    /// (history, slot) of the items of each history that are scored, ascending; `of_places`: the
    /// history of each place that is read or asked for.
    fn own(&self, distinct: &Distinct, of_places: &[i64], histories: usize) -> Vec<i64> {
        debug_assert!(of_places.len() >= self.first);
        let mut by_history = vec![vec![]; histories];
        for (slot, &row) in self.rows.iter().enumerate() {
            for &place in distinct.places(row as usize) {
                let Some(&history) = of_places.get(place as usize) else { break };
                let own: &mut Vec<i64> = &mut by_history[history as usize];
                if own.last() != Some(&(slot as i64)) {
                    own.push(slot as i64);
                }
            }
        }
        let pairs = |(history, slots): (usize, Vec<i64>)| {
            slots.into_iter().flat_map(move |slot| [history as i64, slot])
        };
        by_history.into_iter().enumerate().flat_map(pairs).collect()
    }
}

/// (query, shared candidate) that are one item, ascending, in a list of which the targets start at
/// place `first`, followed by the shared candidates.
fn hits(rows: &Distinct, first: u32, targets: u32, shared: u32) -> Vec<(u32, u32)> {
    let mut hits = vec![];
    for places in (0..rows.len()).map(|row| rows.places(row)) {
        let before = |end: u32| places.partition_point(|&place| place < end);
        let [own, drawn] = [before(first), before(first + targets)];
        if own == drawn {
            continue;
        }
        for target in &places[own..drawn] {
            let rivals = &places[drawn..before(first + targets + shared)];
            hits.extend(rivals.iter().map(|p| (target - first, p - first - targets)));
        }
    }
    hits.sort_unstable();
    hits
}
