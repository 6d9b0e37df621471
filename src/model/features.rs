//! What is known of items or users besides their ids, as vectors: of each field the mean over the
//! values' vectors, all fields added up.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::initial::draw_glorot;
use crate::data::{Features, Schema};
use crate::device::{ComputePath, Parcel, memory};
use crate::host::features::{self, Places, Values};
use crate::optim::{Distinct, RowGradient, TouchedRows};

/// The values of each item or user.
pub struct ValueLists {
    schema: Schema,
    /// `[of + 1]`
    starts: Vec<u32>,
    codes: Vec<u32>,
    /// `[codes]`: how many values its owner has in the code's field.
    counts: Vec<u32>,
}

/// The values of some items or users, in their order.
#[derive(Default)]
pub struct PairLists {
    /// `[of + 1]`: where the values of each begin.
    pub starts: Vec<i64>,
    /// `[values]` each: whose it is, from 0; its row of the table; how many its owner has in its field.
    pub owners: Vec<i64>,
    pub codes: Vec<i64>,
    pub counts: Vec<i64>,
}

/// The same on a device.
pub struct Pairs {
    /// `[of + 1]`, int64.
    starts: Tensor,
    /// `[values]`, int64.
    owners: Tensor,
    codes: Tensor,
    /// `[values]`, float32: what its vector counts for, 1 over the number of values.
    shares: Tensor,
    /// The rows of the table that are read: for loops each once.
    rows: Arc<TouchedRows>,
    /// For loops: of each of `rows` the values that are it.
    places: Option<Distinct>,
}

/// One vector a value, `[values + 1, dim]`; row 0 is padding.
pub struct FeatureTable {
    name: &'static str,
    weights: Tensor,
    lists: Arc<ValueLists>,
}

impl ValueLists {
    /// Those of a dataset's items or users.
    pub fn new(features: &Features) -> Self {
        let first = features.schema.first_codes();
        let counts = (0..features.len()).flat_map(|of| counts(&first, features.of(of))).collect();
        Self {
            schema: features.schema.clone(),
            starts: features.starts.clone(),
            codes: features.codes.clone(),
            counts,
        }
    }

    /// The fields that the values are of.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Rows of a table of their vectors, padding among them.
    pub fn rows(&self) -> usize {
        self.schema.rows()
    }

    /// The values of these items or users, counted from 0; `None` has none.
    pub fn of(&self, all: impl Iterator<Item = Option<usize>>) -> PairLists {
        let mut lists = PairLists { starts: vec![0], ..Default::default() };
        for (owner, of) in all.enumerate() {
            let own = of.map_or(0..0, |of| self.starts[of] as usize..self.starts[of + 1] as usize);
            lists.owners.extend(own.clone().map(|_| owner as i64));
            lists.codes.extend(self.codes[own.clone()].iter().map(|&code| i64::from(code)));
            lists.counts.extend(self.counts[own].iter().map(|&count| i64::from(count)));
            lists.starts.push(lists.codes.len() as i64);
        }
        lists
    }

    /// The values that lists of codes name, as [`Schema::codes`] gives them; of an empty list every
    /// field is missing.
    pub fn of_codes(&self, all: &[&[u32]]) -> PairLists {
        let first = self.schema.first_codes();
        let mut lists = PairLists { starts: vec![0], ..Default::default() };
        for (&codes, owner) in all.iter().zip(0..) {
            let codes = if codes.is_empty() { &first } else { codes };
            lists.owners.extend(codes.iter().map(|_| owner));
            lists.codes.extend(codes.iter().map(|&code| i64::from(code)));
            lists.counts.extend(counts(&first, codes).map(i64::from));
            lists.starts.push(lists.codes.len() as i64);
        }
        lists
    }
}

/// Of each of one's `codes` how many there are in its field; `first`: the first code of each field.
fn counts(first: &[u32], codes: &[u32]) -> impl Iterator<Item = u32> {
    let field = |code: u32| first.partition_point(|&first| first <= code);
    let fields = codes.chunk_by(move |&a, &b| field(a) == field(b));
    fields.flat_map(|own| std::iter::repeat_n(own.len() as u32, own.len()))
}

impl Pairs {
    /// From the lists on a device; `host`: for loops over host memory.
    pub fn new([starts, owners, codes, counts]: [Tensor; 4], host: bool) -> Self {
        let shares = counts.to_kind(Kind::Float).reciprocal();
        let listed = TouchedRows::new(codes.shallow_clone());
        let (rows, places) = match host {
            false => (listed, None),
            true => {
                let places = listed.into_distinct();
                (TouchedRows::once(&places.ids), Some(places))
            }
        };
        Self { starts, owners, codes, shares, rows: Arc::new(rows), places }
    }

    /// The lists on their way to `device`; `host` as for [`Pairs::new`].
    pub fn sent(lists: &PairLists, device: Device, host: bool) -> Self {
        let lists = [&lists.starts, &lists.owners, &lists.codes, &lists.counts];
        let mut parcel = Parcel::default();
        let places = lists.map(|list| parcel.add(list));
        let sent = parcel.send(device);
        Self::new(places.map(|place| sent.list(place)), host)
    }

    /// The rows of the table that are read.
    pub fn rows(&self) -> &Arc<TouchedRows> {
        &self.rows
    }
}

impl FeatureTable {
    /// Glorot-uniform vectors for the values, zeros for what is missing: there an item is what its
    /// id makes of it, until training says otherwise.
    pub fn drawn(
        name: &'static str,
        lists: Arc<ValueLists>,
        dim: i64,
        (seed, part): (u64, u64),
        device: Device,
    ) -> Self {
        let weights = Tensor::zeros([lists.rows() as i64, dim], (Kind::Float, Device::Cpu));
        draw_glorot(&weights, seed, part);
        let missing = lists.schema.first_codes().into_iter().map(i64::from);
        let zero: Vec<i64> = std::iter::once(0).chain(missing).collect();
        let _ = weights.shallow_clone().index_fill_(0, &Tensor::from_slice(&zero), 0.0);
        Self { name, weights: weights.to_device(device), lists }
    }

    /// The fields that the values are of.
    pub fn schema(&self) -> &Schema {
        self.lists.schema()
    }

    /// Its name among the saved weights, and the table, sharing its memory.
    pub fn table(&self) -> (&'static str, Tensor) {
        (self.name, self.weights.shallow_clone())
    }

    /// `[of, dim]`: the vectors of what `pairs` are about, by tensor ops.
    pub fn vectors(&self, pairs: &Pairs) -> Tensor {
        const SUM: i64 = 0;
        let Pairs { starts, codes, shares, .. } = pairs;
        let shares = Some(shares);
        let (sums, ..) =
            Tensor::embedding_bag(&self.weights, codes, starts, false, SUM, false, shares, true);
        sums
    }

    /// A row of zeros and then rows `ids` (int64) of `table` `[rows, dim or more]`, each times its
    /// number in `kept` where there are such, with the vectors of what `pairs` are about added; by
    /// `path`.
    pub fn added(
        &self,
        (table, ids): (&Tensor, &Tensor),
        kept: Option<&Tensor>,
        pairs: &Pairs,
        path: ComputePath,
    ) -> Tensor {
        if path == ComputePath::HostLoops {
            let values =
                Values { starts: &pairs.starts, codes: &pairs.codes, shares: &pairs.shares };
            return features::added(table, ids, kept, values, &self.weights);
        }
        let mut rows = table.index_select(0, ids);
        if let Some(kept) = kept {
            rows *= kept.unsqueeze(1);
        }
        let mut own = rows.narrow(1, 0, self.weights.size()[1]);
        own += self.vectors(pairs);
        Tensor::cat(&[rows.narrow(0, 0, 1).zeros_like(), rows], 0)
    }

    /// The gradient of the table from that of the vectors, `[of, dim or more]`.
    pub fn gradient(&self, pairs: &Pairs, of: &Tensor) -> RowGradient {
        let dim = self.weights.size()[1];
        let values = match &pairs.places {
            Some(places) => {
                let (owners, shares) = (memory::ids(&pairs.owners), memory::floats(&pairs.shares));
                let places = Places { rows: places.len(), of: &|row| places.places(row) };
                features::sum(&places, of, dim, |at| (owners[at] as usize, shares[at]))
            }
            None => of.narrow(1, 0, dim).index_select(0, &pairs.owners) * pairs.shares.unsqueeze(1),
        };
        RowGradient::new(pairs.rows.clone(), values)
    }

    /// `[of, dim]`: the vectors of these items or users, counted from 0; zeros for `None`.
    pub fn vectors_of(&self, all: impl Iterator<Item = Option<usize>>) -> Tensor {
        self.vectors(&Pairs::sent(&self.lists.of(all), self.weights.device(), false))
    }

    /// `[lists, dim]`: the vectors that lists of codes stand for, as [`Schema::codes`] gives them; of
    /// an empty list every field is missing.
    pub fn vectors_of_codes(&self, all: &[&[u32]]) -> Tensor {
        self.vectors(&Pairs::sent(&self.lists.of_codes(all), self.weights.device(), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Field, FieldKind};

    /// Codes 1 to 4, and 5 to 8.
    fn table() -> FeatureTable {
        let field = |name: &str, kind| {
            let values = vec!["a".into(), "b".into()];
            Field { name: name.into(), kind, values, bounds: vec![] }
        };
        let fields = vec![field("one", FieldKind::Category), field("many", FieldKind::Categories)];
        let schema = Schema { fields };
        let features =
            Features { schema, starts: vec![0, 2, 5, 7], codes: vec![3, 7, 1, 6, 8, 1, 5] };
        let lists = Arc::new(ValueLists::new(&features));
        let table = FeatureTable::drawn("values", lists, 3, (1, 4), Device::Cpu);
        // What training makes of what is missing.
        for code in [1, 5] {
            let _ = table.weights.get(code).fill_(code as f64);
        }
        table
    }

    #[test]
    fn codes_stand_for_means_over_the_values_of_each_field() {
        let table = table();
        let rows = Vec::<Vec<f32>>::try_from(&table.weights).unwrap();
        let of = |shares: &[(usize, f32)]| -> Vec<f32> {
            (0..3)
                .map(|at| shares.iter().map(|(row, share)| share * rows[*row][at]).sum())
                .collect()
        };
        let lists: [&[u32]; 4] = [&[4, 6, 7, 8], &[], &[1, 6, 8], &[2, 5]];
        let third = 1.0 / 3.0;
        let expected = [
            of(&[(4, 1.0), (6, third), (7, third), (8, third)]),
            of(&[(1, 1.0), (5, 1.0)]),
            of(&[(1, 1.0), (6, 0.5), (8, 0.5)]),
            of(&[(2, 1.0), (5, 1.0)]),
        ];
        let found = table.vectors_of_codes(&lists);
        assert!(found.allclose(&Tensor::from_slice2(&expected), 1e-6, 1e-7, false), "{found}");
        // The third of these the dataset has, too.
        let known = table.vectors_of([Some(1), None].into_iter());
        assert_eq!(known.get(0), found.get(2));
        assert_eq!(known.get(1), found.get(2).zeros_like());
    }
}
