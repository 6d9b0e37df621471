//! Repeats: the items of histories among what is scored, query by query.

use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use crate::device::{Parcel, Place, Sent, send};
use crate::model::{Buckets, Queries, Repeats};

/// What is scored and in the history of its query: *pairs* of query and slot.
pub struct Repeated {
    /// `[queries + 1]`: the pairs of query `q` are those from `starts[q]` to `starts[q + 1]`.
    pub starts: Vec<u32>,
    /// `[pairs]`: ascending of each query.
    pub slots: Vec<u32>,
    /// `[pairs]`
    pub buckets: Vec<Buckets>,
    device: Device,
    tensor: OnceLock<Tensor>,
}

/// What a batch scores, by slot.
pub(super) struct Scored<'a> {
    /// `[histories + 1]`: where each history begins in `read`.
    pub starts: &'a [u32],
    pub queries: Queries,
    /// `[positions]`: the slot of each item of a history, [`UNSCORED`] for one that is not scored.
    pub read: &'a [u32],
    /// Targets, and candidates of all queries, of each history's and of each query.
    pub targets: &'a [i64],
    pub shared: &'a [i64],
    pub of_history: &'a [i64],
    pub of_query: &'a [i64],
    /// The number of slots.
    pub slots: usize,
}

/// Stands in place of a slot for an item that is not scored.
pub(super) const UNSCORED: u32 = u32::MAX;

/// Which slots a query has, as targets or candidates: stamps, so that nothing has to be wiped.
struct Asked {
    by_all: Vec<bool>,
    /// `[slots]`: the latest history, and query, that has it, from 1.
    by_history: Vec<u32>,
    by_query: Vec<u32>,
}

impl Repeated {
    /// The pairs of a batch; each history is walked once.
    pub(super) fn new(scored: &Scored, device: Device) -> Self {
        let none = || vec![0; scored.slots];
        let by_all = vec![false; scored.slots];
        let mut asked = Asked { by_all, by_history: none(), by_query: none() };
        scored.shared.iter().for_each(|&slot| asked.by_all[slot as usize] = true);
        let (starts, tensor) = (vec![0], OnceLock::new());
        let mut all = Self { starts, slots: vec![], buckets: vec![], device, tensor };
        // How often each slot has come in this history, and where last.
        let mut known = vec![(0usize, 0usize); scored.slots];
        let histories = scored.starts.len() - 1;
        let each = scored.of_history.len() / histories.max(1);
        for history in 0..histories {
            let stamp = history as u32 + 1;
            let own = &scored.of_history[history * each..][..each];
            own.iter().for_each(|&slot| asked.by_history[slot as usize] = stamp);
            let read = &scored.read[scored.starts[history] as usize..];
            let read = &read[..(scored.starts[history + 1] - scored.starts[history]) as usize];
            // The slots that have come, ascending.
            let mut met: Vec<u32> = vec![];
            for (at, &slot) in read.iter().enumerate() {
                if slot != UNSCORED {
                    let (count, last) = &mut known[slot as usize];
                    (*count, *last) = (*count + 1, at);
                    if let Err(place) = met.binary_search(&slot) {
                        met.insert(place, slot);
                    }
                }
                if scored.queries == Queries::Every {
                    all.ask(scored, &mut asked, stamp, &met, &known, at);
                }
            }
            if scored.queries == Queries::Last {
                let at = read.len().saturating_sub(1);
                all.ask(scored, &mut asked, stamp, &met, &known, at);
            }
            met.iter().for_each(|&slot| known[slot as usize] = (0, 0));
        }
        all
    }

    /// Adds the pairs of the next query, which follows place `at` of its history.
    fn ask(
        &mut self,
        scored: &Scored,
        asked: &mut Asked,
        history: u32,
        met: &[u32],
        known: &[(usize, usize)],
        at: usize,
    ) {
        let query = self.starts.len() - 1;
        let stamp = query as u32 + 1;
        let each = scored.of_query.len() / scored.targets.len();
        let own = &scored.of_query[query * each..][..each];
        let own = own.iter().chain([&scored.targets[query]]);
        own.for_each(|&slot| asked.by_query[slot as usize] = stamp);
        for &slot in met {
            let place = slot as usize;
            let here = asked.by_history[place] == history || asked.by_query[place] == stamp;
            if here || asked.by_all[place] {
                let (count, last) = known[place];
                self.slots.push(slot);
                self.buckets.push(Buckets::new(count, at - last));
            }
        }
        self.starts.push(self.slots.len() as u32);
    }

    /// `[4, pairs]` int64 on the run's device: query, slot, bucket by count and by recency. Made
    /// when it is first asked for: loops do without.
    pub fn tensor(&self) -> &Tensor {
        self.tensor
            .get_or_init(|| self.shaped(&send(&Tensor::from_slice(&self.rows()), self.device)))
    }

    /// Puts what [`Repeated::tensor`] holds into a parcel.
    pub fn pack(&self, parcel: &mut Parcel) -> Place {
        parcel.add(&self.rows())
    }

    /// Makes [`Repeated::tensor`] from what was sent.
    pub fn unpack(&self, place: Place, sent: &Sent) {
        self.tensor.get_or_init(|| self.shaped(&sent.list(place)));
    }

    fn rows(&self) -> Vec<i64> {
        let mut rows = Vec::with_capacity(4 * self.slots.len());
        for (query, own) in self.starts.windows(2).enumerate() {
            rows.resize(rows.len() + (own[1] - own[0]) as usize, query as i64);
        }
        rows.extend(self.slots.iter().map(|&slot| i64::from(slot)));
        rows.extend(self.buckets.iter().map(|own| i64::from(own.count)));
        rows.extend(self.buckets.iter().map(|own| i64::from(own.recency)));
        rows
    }

    fn shaped(&self, rows: &Tensor) -> Tensor {
        rows.view([4, self.slots.len() as i64])
    }

    /// `[count, scored]`: what the scores of the queries from `from` on gain.
    pub fn gains(&self, repeats: &Repeats, from: i64, count: i64, scored: i64) -> Tensor {
        let [first, end] = [from, from + count].map(|query| i64::from(self.starts[query as usize]));
        let own = self.tensor().narrow(1, first, end - first);
        let [query, slot, by_count, by_recency] = [0, 1, 2, 3].map(|row| own.get(row));
        let gains = repeats.of_buckets(&by_count, &by_recency);
        let none = Tensor::zeros([count, scored], (Kind::Float, self.device));
        none.index_put(&[Some(query - from), Some(slot)], &gains, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Assembly, Batch, Candidates, Samples};
    use crate::config::Reject;
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    /// (query, slot, count, later) of what each query scores and has in its history.
    fn brute(batch: &Batch, samples: &Samples) -> Vec<(usize, i64, usize, usize)> {
        let list = |t: &Tensor| Vec::<i64>::try_from(t.contiguous().view(-1)).unwrap();
        let (ids, targets, shared) =
            (list(&batch.scored), list(&batch.targets), list(&batch.shared));
        let mut found = vec![];
        for (query, history) in list(&batch.history).into_iter().enumerate() {
            let [from, end] = [0, 1].map(|at| samples.starts[history as usize + at] as usize);
            let end = match samples.queries {
                Queries::Every => query + 1,
                Queries::Last => end,
            };
            let items = &samples.items[from..end];
            let mut slots = shared.clone();
            slots.push(targets[query]);
            slots.extend(list(&batch.of_history.get(history)));
            slots.extend(list(&batch.of_query.get(query as i64)));
            slots.sort_unstable();
            slots.dedup();
            for slot in slots {
                let own = |item: &&i64| **item == ids[slot as usize];
                let count = items.iter().filter(own).count();
                if count > 0 {
                    let later = items.iter().rev().take_while(|item| !own(item)).count();
                    found.push((query, slot, count, later));
                }
            }
        }
        found
    }

    #[test]
    fn pairs_are_those_of_brute_force() {
        let mut rng = stream(7, Purpose::Batch, 0);
        for queries in [Queries::Every, Queries::Last] {
            for [shared, of_history, of_query] in [[9, 3, 2], [0, 2, 0], [30, 0, 0], [0, 0, 1]] {
                let mut starts = vec![0u32, 0];
                (0..12).for_each(|at| starts.push(starts[at + 1] + rng.random_range(0..20)));
                let mut draw =
                    |n: usize| (0..n).map(|_| rng.random_range(1..=15)).collect::<Vec<i64>>();
                let items = draw(starts[starts.len() - 1] as usize);
                let targets = draw(match queries {
                    Queries::Every => items.len(),
                    Queries::Last => 13,
                });
                let candidates = Candidates {
                    shared: draw(shared),
                    of_history: draw(13 * of_history),
                    of_query: draw(targets.len() * of_query),
                };
                let samples = || Samples {
                    items: items.clone(),
                    starts: starts.clone(),
                    queries,
                    targets: targets.clone(),
                };
                let assembly = Assembly {
                    device: Device::Cpu,
                    chunks: 1,
                    host: false,
                    tied: true,
                    reject: Reject::Label,
                    repeats: true,
                };
                let batch = Batch::new(samples(), candidates, assembly);
                let own = batch.repeats.as_ref().unwrap();
                let expected: Vec<(usize, i64, Buckets)> = brute(&batch, &samples())
                    .into_iter()
                    .map(|(query, slot, count, later)| (query, slot, Buckets::new(count, later)))
                    .collect();
                assert_eq!(own.starts.len(), targets.len() + 1);
                let of_query = |query: usize| {
                    let pairs = own.starts[query] as usize..own.starts[query + 1] as usize;
                    pairs.map(move |at| (query, i64::from(own.slots[at]), own.buckets[at]))
                };
                let found: Vec<_> = (0..targets.len()).flat_map(of_query).collect();
                assert!(!expected.is_empty());
                assert_eq!(found, expected);
                let rows = own.tensor().transpose(0, 1).contiguous().view([-1]);
                let row = |(query, slot, own): (usize, i64, Buckets)| {
                    [query as i64, slot, own.count.into(), own.recency.into()]
                };
                let expected: Vec<i64> = expected.into_iter().flat_map(row).collect();
                assert_eq!(Vec::<i64>::try_from(rows).unwrap(), expected);
            }
        }
    }
}
