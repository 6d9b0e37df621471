//! Items: ids to the rows that encoders read and that scores are taken with, and gradients of these
//! back to gradients of tables.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::initial::draw_glorot;
use crate::config::TowerConfig;
use crate::device::memory::table_zeros;
use crate::optim::{Named, RowGradient, TouchedRows};

/// Names of the tables among the saved weights.
const READ: &str = "items";
const SCORED: &str = "outputs";

/// The tables of a model: one, or one that is read and one that is scored.
pub struct Items {
    read: ItemTable,
    /// The table that scores are taken with, where it is not tied to `read`; `[items + 1, dim]`,
    /// or `[items + 1, dim + 1]` with biases.
    scored: Option<ItemTable>,
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
        }
    }

    /// The table that encoders read.
    pub fn read(&self) -> &ItemTable {
        &self.read
    }

    /// The table that scores are taken with.
    pub fn scored(&self) -> &ItemTable {
        self.scored.as_ref().unwrap_or(&self.read)
    }

    /// All tables by name, sharing their memory, in the order in which batches name their rows.
    pub fn tables(&self) -> Named {
        let mut all = vec![(READ, self.read.weights())];
        all.extend(self.scored.iter().map(|table| (SCORED, table.weights())));
        all
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
