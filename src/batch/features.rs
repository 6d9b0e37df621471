//! Batches whose items a step is given alone, by their places: those of items with features, and those
//! of a rank, which has not all rows.

use std::sync::Arc;

use rand::RngExt;
use tch::Kind;

use super::batch::{Assembly, Samples};
use super::candidates::Candidates;
use crate::device::Parcel;
use crate::model::{Composition, Pairs, ValueLists};
use crate::optim::{Distinct, TouchedRows};
use crate::random::{Purpose, stream};

/// Finds what the items of a batch are composed of.
pub struct Composer {
    /// Of items with features.
    pub lists: Option<Arc<ValueLists>>,
    /// The chance that an item's own vector is dropped from a batch.
    pub id_dropout: f64,
    pub seed: u64,
    pub assembly: Assembly,
}

impl Composer {
    /// Puts places among the batch's distinct items, from 1 on, in the place of their ids.
    pub fn compose(
        &self,
        step: u64,
        samples: &mut Samples,
        candidates: &mut Candidates,
    ) -> Composition {
        let parts = [
            &mut samples.items,
            &mut samples.targets,
            &mut candidates.shared,
            &mut candidates.of_history,
            &mut candidates.of_query,
        ];
        let list: Vec<i64> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let distinct = Distinct::of(&list);
        let mut renamed = vec![0; list.len()];
        for row in 0..distinct.len() {
            for &place in distinct.places(row) {
                renamed[place as usize] = row as i64 + 1;
            }
        }
        let mut renamed = renamed.into_iter();
        parts.into_iter().flatten().for_each(|id| *id = renamed.next().expect("one for each"));

        let Assembly { device, host, .. } = self.assembly;
        let mut parcel = Parcel::default();
        let ids: Vec<i64> = distinct.ids.iter().map(|&id| i64::from(id)).collect();
        let lists = self.lists.as_ref();
        let lists = lists.map(|lists| lists.of(ids.iter().map(|&id| Some(id as usize - 1))));
        let mut rng = stream(self.seed, Purpose::IdDropout, step);
        let kept = (self.id_dropout > 0.0).then(|| {
            let kept = ids.iter().map(|_| i64::from(rng.random::<f64>() >= self.id_dropout));
            parcel.add(&kept.collect::<Vec<_>>())
        });
        let ids = parcel.add(&ids);
        let pairs = lists.map(|lists| {
            let all = [&lists.starts, &lists.owners, &lists.codes, &lists.counts];
            all.map(|list| parcel.add(list))
        });
        let sent = parcel.send(device);
        let ids = sent.list(ids);
        let rows = match host {
            true => TouchedRows::once(&distinct.ids),
            false => TouchedRows::new(ids.shallow_clone()),
        };
        Composition {
            kept: kept.map(|place| sent.list(place).to_kind(Kind::Float)),
            pairs: pairs.map(|pairs| Pairs::new(pairs.map(|place| sent.list(place)), host)),
            rows: Arc::new(rows),
            ids,
        }
    }
}
