//! Rows of tables of which each rank has a part: asked of those who have them, and gradients given to
//! them.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::device::memory;
use crate::optim::{Distinct, RowGradient, TouchedRows};
use crate::ranks::Team;

/// The rows that ranks have asked each other for: of every table those of the same items. All ask
/// together, each for the items of its own list.
pub struct Asked {
    team: Team,
    /// By owner, where what it was asked for stands in the list.
    places: Vec<Vec<u32>>,
    /// The items of the list.
    count: usize,
    /// By rank, how many rows it has asked this one for.
    counts: Vec<usize>,
    /// Rows of this rank's tables that somebody reads, rank by rank.
    pub rows: Arc<TouchedRows>,
}

impl Asked {
    /// For a list of distinct items, none of them padding.
    pub fn new(team: &Team, ids: &[i64]) -> Self {
        let shard = team.shard();
        let mut places = vec![vec![]; shard.ranks];
        let mut asked = vec![vec![]; shard.ranks];
        for (place, &id) in (0u32..).zip(ids) {
            let owner = shard.owner(id as usize);
            places[owner].push(place);
            asked[owner].push(shard.local(id as usize) as u32);
        }
        let given = team.exchange(asked);
        let counts = given.iter().map(Vec::len).collect();
        let rows: Vec<i64> = given.into_iter().flatten().map(i64::from).collect();
        let rows = Arc::new(TouchedRows::new(Tensor::from_slice(&rows)));
        Self { team: team.clone(), places, count: ids.len(), counts, rows }
    }

    /// For any list of items; and where each of them stands in [`Asked::rows_of`].
    pub fn of_any(team: &Team, ids: &[i64]) -> (Self, Tensor) {
        let distinct = Distinct::of(ids);
        let mut places = vec![0i64; ids.len()];
        for row in 0..distinct.len() {
            distinct.places(row).iter().for_each(|&at| places[at as usize] = row as i64 + 1);
        }
        let ids: Vec<i64> = distinct.ids.iter().map(|&id| i64::from(id)).collect();
        (Self::new(team, &ids), Tensor::from_slice(&places))
    }

    /// How many items the list has.
    pub fn items(&self) -> i64 {
        self.count as i64
    }

    /// `[items + 1, dim]`: behind a row of zeros, for padding, those of the list's items in a table
    /// that each rank has a part of; every owner gives them as they are.
    pub fn rows_of(&self, table: &Tensor) -> Tensor {
        let _guard = tch::no_grad_guard();
        let dim = table.size()[1] as usize;
        let read = table.index_select(0, self.rows.ids());
        let mut rest = memory::floats(&read);
        let of = |count: &usize| {
            let own;
            (own, rest) = rest.split_at(count * dim);
            own.to_vec()
        };
        let given = self.team.exchange(self.counts.iter().map(of).collect());
        let mut rows = vec![0f32; (self.count + 1) * dim];
        for (places, given) in self.places.iter().zip(&given) {
            for (&place, row) in places.iter().zip(given.chunks_exact(dim)) {
                rows[(place as usize + 1) * dim..][..dim].copy_from_slice(row);
            }
        }
        Tensor::from_slice(&rows).view([-1, dim as i64])
    }

    /// The gradient of this rank's part of a table from what all ranks say of it, in their order: each
    /// gives `values` `[items, dim]` of the items of its list, or has nothing to say.
    pub fn gradient(&self, values: Option<Tensor>, dim: i64) -> RowGradient {
        let dim = dim as usize;
        let nothing = || Tensor::zeros([self.items(), dim as i64], (Kind::Float, Device::Cpu));
        let values = values.unwrap_or_else(nothing).contiguous();
        let values = memory::floats(&values);
        let of = |places: &Vec<u32>| {
            let rows = places.iter().map(|&place| &values[place as usize * dim..][..dim]);
            rows.collect::<Vec<_>>().concat()
        };
        let given = self.team.exchange(self.places.iter().map(of).collect());
        let all = Tensor::from_slice(&given.concat()).view([-1, dim as i64]);
        RowGradient::new(self.rows.clone(), all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use crate::ranks::together;
    use rand::RngExt;

    #[test]
    fn rows_come_from_their_owners_and_what_is_said_of_them_goes_there() {
        let (items, dim) = (40i64, 3i64);
        tch::manual_seed(2);
        let whole = Tensor::randn([items + 1, dim], (Kind::Float, Device::Cpu));
        let _ = whole.get(0).zero_();
        let whole: Vec<f32> = memory::floats(&whole).to_vec();
        let whole = || Tensor::from_slice(&whole).view([items + 1, dim]);
        let list = |rank: usize| -> Vec<i64> {
            let mut rng = stream(rank as u64, Purpose::Batch, 0);
            // One rank asks for nothing.
            let count = if rank == 1 { 0 } else { 30 };
            (0..count).map(|_| rng.random_range(0..=items)).collect()
        };
        for ranks in 1..5 {
            let of_ranks = together(ranks, |team| {
                let shard = team.shard();
                let here = shard.count(items as usize);
                let ids: Vec<i64> = (0..=here).map(|local| shard.global(local) as i64).collect();
                let own = whole().index_select(0, &Tensor::from_slice(&ids));
                let list = list(shard.rank);
                let (asked, places) = Asked::of_any(&team, &list);
                let rows = asked.rows_of(&own);
                let read = rows.index_select(0, &places);
                assert_eq!(read, whole().index_select(0, &Tensor::from_slice(&list)));
                // What is said of an item is the number of the rank that says it.
                let said = rows.narrow(0, 1, asked.items()).ones_like() * (shard.rank as f64 + 1.0);
                let said = (shard.rank != 2).then_some(said);
                let of_table = asked.gradient(said, dim);
                let sums = Tensor::zeros([here as i64 + 1, 3], (Kind::Float, Device::Cpu))
                    .index_add(0, of_table.rows.ids(), &of_table.values);
                (ids, Vec::<f32>::try_from(sums.select(1, 0)).unwrap())
            });
            for (ids, sums) in of_ranks {
                for (id, sum) in ids.into_iter().zip(sums) {
                    let says = |rank: &usize| *rank != 2 && id > 0 && list(*rank).contains(&id);
                    let expected: usize = (0..ranks).filter(says).map(|rank| rank + 1).sum();
                    assert_eq!(sum, expected as f32, "item {id} of {ranks} ranks");
                }
            }
        }
    }
}
