//! Items: ids to the rows that encoders read and that scores are taken with, and gradients of these
//! back to gradients of tables.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::features::{FeatureTable, Pairs, ValueLists};
use super::initial::draw_glorot;
use crate::config::TowerConfig;
use crate::device::memory::{self, table_zeros};
use crate::device::{self, ComputePath};
use crate::host::features::{self, Places};
use crate::optim::{Named, RowGradient, TouchedRows};

/// Names of the tables among the saved weights.
const READ: &str = "items";
const SCORED: &str = "outputs";
const FEATURES: &str = "item_features";

/// Items whose vectors are made at once where they have features.
const BLOCK: usize = 1 << 16;

/// The tables of a model: one, or one that is read and one that is scored.
pub struct Items {
    read: ItemTable,
    /// The table that scores are taken with, where it is not tied to `read`; `[items + 1, dim]`,
    /// or `[items + 1, dim + 1]` with biases.
    scored: Option<ItemTable>,
    /// What is known of items besides their ids, the same for both tables.
    features: Option<FeatureTable>,
}

/// What is known of a catalogue's items besides their ids.
pub struct KnownItems {
    pub lists: Arc<ValueLists>,
    /// `[items]`: whether training meets it. What it never meets lives by its features alone.
    pub met: Vec<bool>,
}

/// How the vectors of a batch's items come about where items have features. The batch calls them by
/// their places in this list, from 1 on: to a step they are all items that there are.
pub struct Composition {
    /// `[places]`: item ids, ascending.
    pub ids: Tensor,
    /// `[places]`, float32: 0 where an item's own vector is dropped, else 1.
    pub kept: Option<Tensor>,
    pub pairs: Pairs,
    /// The same ids, as rows of each table.
    pub rows: Arc<TouchedRows>,
}

/// One vector an item, `[items + 1, dim]`; row 0 is padding: never drawn, never ranked.
pub struct ItemTable {
    weights: Tensor,
}

impl Items {
    /// Tables with initial weights drawn from `seed`.
    pub fn new(config: &TowerConfig, items: usize, seed: u64, device: Device) -> Self {
        let dim = config.dim;
        let scored = || ItemTable::drawn(items, dim, config.output_bias, (seed, 2), device);
        Self {
            read: ItemTable::drawn(items, dim, false, (seed, 0), device),
            scored: (!config.tied).then(scored),
            features: None,
        }
    }

    /// The same with features of items, whose vectors are drawn from `seed`; the own vectors of
    /// items that training never meets are 0.
    pub fn knowing(self, known: &KnownItems, seed: u64) -> Self {
        let unmet: Vec<i64> =
            (1..).zip(&known.met).filter(|(_, met)| !**met).map(|(id, _)| id).collect();
        for (_, mut table) in self.tables() {
            let _ =
                table.index_fill_(0, &Tensor::from_slice(&unmet).to_device(table.device()), 0.0);
        }
        let (dim, device) = (self.read.dim(), self.read.weights.device());
        let features = FeatureTable::drawn(FEATURES, known.lists.clone(), dim, (seed, 3), device);
        Self { features: Some(features), ..self }
    }

    /// The table that encoders read; of items with features what is theirs alone.
    pub fn read(&self) -> &ItemTable {
        &self.read
    }

    /// The table that scores are taken with; of items with features what is theirs alone.
    pub fn scored(&self) -> &ItemTable {
        self.scored.as_ref().unwrap_or(&self.read)
    }

    /// What is known of items besides their ids, where anything is.
    pub fn features(&self) -> Option<&FeatureTable> {
        self.features.as_ref()
    }

    /// The vectors of items that encoders read: of `ids` (int64, any shape) `[..., dim]`.
    pub fn read_of(&self, ids: &Tensor) -> Tensor {
        let Some(features) = &self.features else { return self.read.gather(ids) };
        let listed = device::host_copy(&ids.view(-1));
        let known = memory::ids(&listed).iter().map(|&id| (id as usize).checked_sub(1));
        let rows = self.read.gather(&ids.view(-1)) + features.vectors_of(known);
        let shape = [ids.size().as_slice(), &[self.read.dim()]].concat();
        rows.view(shape.as_slice())
    }

    /// The vectors of all items that encoders read `[items + 1, dim]`, padding's first; without
    /// features this is the table itself.
    pub fn read_table(&self) -> Tensor {
        self.whole(&self.read)
    }

    /// The rows of all items that scores are taken with, `[items, dim]`: row `i` is item `i + 1`.
    pub fn scored_rows(&self) -> Tensor {
        self.scored_table().narrow(0, 1, self.len() as i64)
    }

    /// The same with padding's before them, `[items + 1, dim]`.
    pub fn scored_table(&self) -> Tensor {
        self.whole(self.scored())
    }

    fn whole(&self, table: &ItemTable) -> Tensor {
        let Some(features) = &self.features else { return table.weights() };
        let whole = table.weights.copy();
        for from in (0..self.len()).step_by(BLOCK) {
            let count = BLOCK.min(self.len() - from);
            let mut rows =
                whole.narrow(0, from as i64 + 1, count as i64).narrow(1, 0, self.read.dim());
            rows += features.vectors_of((from..from + count).map(Some));
        }
        whole
    }

    /// The tables as a step on a batch of this composition reads them: of its items alone, with what
    /// their features add.
    pub fn composed(&self, of: &Composition, path: ComputePath) -> Self {
        let features =
            self.features.as_ref().expect("batches are composed where items have features");
        let composed = |table: &ItemTable| {
            let rows = (&table.weights, &of.ids);
            ItemTable { weights: features.added(rows, of.kept.as_ref(), &of.pairs, path) }
        };
        Self {
            read: composed(&self.read),
            scored: self.scored.as_ref().map(composed),
            features: None,
        }
    }

    /// The gradients of all tables from those of the [`Items::composed`] ones.
    pub fn decomposed(
        &self,
        of: &Composition,
        composed: &[RowGradient],
        path: ComputePath,
    ) -> Vec<RowGradient> {
        let features =
            self.features.as_ref().expect("batches are composed where items have features");
        let places = of.ids.size()[0];
        let sums: Vec<Tensor> = composed.iter().map(|own| by_place(own, places, path)).collect();
        let of_features = match &sums[..] {
            [read, scored] => read + scored.narrow(1, 0, read.size()[1]),
            [one, ..] => one.shallow_clone(),
            [] => unreachable!("there is a table"),
        };
        let kept = |sum: Tensor| match &of.kept {
            Some(kept) => sum * kept.unsqueeze(1),
            None => sum,
        };
        let mut all: Vec<RowGradient> =
            sums.into_iter().map(|sum| RowGradient::new(of.rows.clone(), kept(sum))).collect();
        all.push(features.gradient(&of.pairs, &of_features));
        all
    }

    /// The rows of all tables that a step on a batch of this composition reads.
    pub fn rows_of(&self, of: &Composition) -> Vec<Arc<TouchedRows>> {
        let own = 1 + usize::from(self.scored.is_some());
        let own = std::iter::repeat_n(&of.rows, own);
        own.chain([of.pairs.rows()]).cloned().collect()
    }

    /// All tables by name, sharing their memory, in the order in which batches name their rows.
    pub fn tables(&self) -> Named {
        let mut all = vec![(READ, self.read.weights())];
        all.extend(self.scored.iter().map(|table| (SCORED, table.weights())));
        all.extend(self.features.iter().map(FeatureTable::table));
        all
    }

    /// The tables that have a row for each item.
    pub fn tables_by_item(&self) -> Named {
        self.tables().into_iter().filter(|(name, _)| [READ, SCORED].contains(name)).collect()
    }

    /// The number of items, padding not counted.
    pub fn len(&self) -> usize {
        self.read.items()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gradients of the tables, from those of rows that were read and of rows that were scored:
    /// ids `[rows]` and values `[rows, dim]` each. An id may stand more than once.
    pub fn row_gradients(
        &self,
        read: (&Tensor, &Tensor),
        scored: (&Tensor, &Tensor),
    ) -> Vec<RowGradient> {
        let ids = match self.scored {
            Some(_) => [read.0, scored.0].map(Tensor::shallow_clone).into(),
            None => vec![Tensor::cat(&[read.0, scored.0], 0)],
        };
        let rows: Vec<_> = ids.into_iter().map(|ids| Arc::new(TouchedRows::new(ids))).collect();
        self.gradients_of(&rows, read.1, scored.1)
    }

    /// The same where `rows` are those of each table as batches name them: of one table those that
    /// were read, and behind them those that were scored.
    pub fn gradients_of(
        &self,
        rows: &[Arc<TouchedRows>],
        read: &Tensor,
        scored: &Tensor,
    ) -> Vec<RowGradient> {
        let values = match self.scored {
            Some(_) => [read, scored].map(Tensor::shallow_clone).into(),
            None => vec![Tensor::cat(&[read, scored], 0)],
        };
        let of = |(rows, values): (&Arc<TouchedRows>, Tensor)| {
            assert_eq!(rows.ids().size()[0], values.size()[0], "a gradient for each row");
            RowGradient::new(rows.clone(), values)
        };
        rows.iter().zip(values).map(of).collect()
    }
}

/// `[places, dim]`: the gradients of a composed table's rows, padding left out.
fn by_place(gradient: &RowGradient, places: i64, path: ComputePath) -> Tensor {
    let RowGradient { rows, values, sources } = gradient;
    if path == ComputePath::HostLoops {
        let distinct = rows.distinct();
        // Not every place has a gradient: some are read only, or scored only.
        let mut row_of = vec![None; places as usize];
        distinct.ids.iter().enumerate().for_each(|(row, &id)| row_of[id as usize - 1] = Some(row));
        let of = |place: usize| row_of[place].map_or(&[][..], |row| distinct.places(row));
        let source = |at: usize| sources.as_ref().map_or(at, |sources| sources[at] as usize);
        let all = Places { rows: places as usize, of: &of };
        return features::sum(&all, values, values.size()[1], |at| (source(at), 1.0));
    }
    let sums = Tensor::zeros([places + 1, values.size()[1]], (values.kind(), values.device()));
    sums.index_add(0, rows.ids(), &gradient.expanded()).narrow(0, 1, places)
}

impl ItemTable {
    /// Glorot-uniform rows for `items` items, and a zero row for padding; with `bias`, one column
    /// more at the end, all 0. Tables of different `part` draw numbers of their own.
    fn drawn(items: usize, dim: i64, bias: bool, (seed, part): (u64, u64), device: Device) -> Self {
        let size = [items as i64 + 1, dim + i64::from(bias)];
        let weights = table_zeros(&size, Kind::Float, device);
        draw_glorot(&weights.narrow(1, 0, dim), seed, part);
        let _ = weights.get(0).zero_();
        Self { weights }
    }

    /// The rows of `ids` (int64, any shape): `[..., dim]`, a copy without history of gradients.
    pub fn gather(&self, ids: &Tensor) -> Tensor {
        let shape = [ids.size().as_slice(), &[self.dim()]].concat();
        self.weights.index_select(0, &ids.view(-1)).view(shape.as_slice())
    }

    /// The rows of all items, `[items, dim]`, sharing the table's memory: row `i` is item `i + 1`.
    pub fn rows(&self) -> Tensor {
        self.weights.narrow(0, 1, self.items() as i64)
    }

    /// The number of items, padding not counted.
    pub fn items(&self) -> usize {
        self.weights.size()[0] as usize - 1
    }

    /// The width of a vector.
    pub fn dim(&self) -> i64 {
        self.weights.size()[1]
    }

    /// The whole table `[items + 1, dim]`, sharing its memory.
    pub fn weights(&self) -> Tensor {
        self.weights.shallow_clone()
    }
}
