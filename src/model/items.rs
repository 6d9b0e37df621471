//! Items: ids to the rows that encoders read and that scores are taken with, and gradients of these
//! back to gradients of tables.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::features::{FeatureTable, Pairs, ValueLists};
use super::initial::{draw_glorot, draw_glorot_shard};
use super::sharded::Asked;
use crate::config::TowerConfig;
use crate::device::memory::{self, table_zeros};
use crate::device::{self, ComputePath};
use crate::host::features::{self, Places};
use crate::optim::{Named, RowGradient, TouchedRows};
use crate::ranks::Team;

/// Names of the tables among the saved weights.
const READ: &str = "items";
const SCORED: &str = "outputs";
const FEATURES: &str = "item_features";

const COMPOSED: &str = "batches are composed where items have features";

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
    /// All items that there are, whoever has their rows.
    count: usize,
    /// Who has them: one process alone has all.
    team: Team,
}

/// What is known of a catalogue's items besides their ids.
pub struct KnownItems {
    pub lists: Arc<ValueLists>,
    /// `[items]`: whether training meets it. What it never meets lives by its features alone.
    pub met: Vec<bool>,
}

/// How the vectors of a batch's items come about where items have features, or ranks have their rows.
/// The batch calls them by their places in this list, from 1 on: to a step they are all items that
/// there are.
pub struct Composition {
    /// `[places]`: item ids, ascending.
    pub ids: Tensor,
    /// `[places]`, float32: 0 where an item's own vector is dropped, else 1.
    pub kept: Option<Tensor>,
    /// Where items have features.
    pub pairs: Option<Pairs>,
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
        Self::drawn(config, [items, items], Team::default(), device, |weights, part| {
            draw_glorot(weights, seed, part);
        })
    }

    /// The same rows where each of several ranks has a part of them, on the host.
    pub fn sharded(config: &TowerConfig, items: usize, seed: u64, team: &Team) -> Self {
        let shard = team.shard();
        let here = [shard.count(items), items];
        Self::drawn(config, here, team.clone(), Device::Cpu, |weights, part| {
            draw_glorot_shard(weights, items + 1, shard, seed, part);
        })
    }

    /// Tables for the items that are `here`, of all that there are; `draw` numbers the tables that it
    /// draws, so that each gets numbers of its own.
    fn drawn(
        config: &TowerConfig,
        [here, count]: [usize; 2],
        team: Team,
        device: Device,
        draw: impl Fn(&Tensor, u64),
    ) -> Self {
        let table = |bias, part| {
            ItemTable::drawn(here, config.dim, bias, device, |weights| draw(weights, part))
        };
        Self {
            read: table(false, 0),
            scored: (!config.tied).then(|| table(config.output_bias, 2)),
            features: None,
            count,
            team,
        }
    }

    /// Who has the rows of the tables.
    pub fn team(&self) -> &Team {
        &self.team
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

    /// The vectors of items that encoders read: of `ids` (int64, any shape) `[..., dim]`. Where ranks
    /// have them, all ask together, each for what it wants.
    pub fn read_of(&self, ids: &Tensor) -> Tensor {
        if !self.team.is_alone() {
            let listed = ids.contiguous().view(-1);
            let (asked, places) = Asked::of_any(&self.team, memory::ids(&listed));
            let rows = asked.rows_of(&self.read.weights).index_select(0, &places);
            return rows.view([ids.size().as_slice(), &[self.read.dim()]].concat().as_slice());
        }
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

    /// The rows of all items that scores are taken with, `[items, dim]`: row `i` is item `i + 1`. Where
    /// ranks have them, those that are here.
    pub fn scored_rows(&self) -> Tensor {
        self.scored_table().narrow(0, 1, self.read.items() as i64)
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
        let features = self.features.as_ref().expect(COMPOSED);
        let pairs = of.pairs.as_ref().expect(COMPOSED);
        self.some(|table| features.added((&table.weights, &of.ids), of.kept.as_ref(), pairs, path))
    }

    /// The tables as a step reads them of whose items the rows were asked of their owners.
    pub fn fetched(&self, asked: &Asked) -> Self {
        self.some(|table| asked.rows_of(&table.weights))
    }

    /// Tables of some rows, which `of` makes of each whole one.
    fn some(&self, of: impl Fn(&ItemTable) -> Tensor) -> Self {
        let table = |table: &ItemTable| ItemTable { weights: of(table) };
        Self {
            read: table(&self.read),
            scored: self.scored.as_ref().map(table),
            features: None,
            count: self.count,
            team: Team::default(),
        }
    }

    /// The gradients of the rows that are here from what each rank says of its [`Items::fetched`] ones,
    /// which counts for the `share` of a step's queries that it has; with none it says nothing.
    pub fn returned(&self, asked: &Asked, fetched: &[RowGradient], share: f64) -> Vec<RowGradient> {
        let of = |(at, (_, table)): (usize, (&str, Tensor))| {
            let own = fetched.get(at);
            let own = own.map(|own| by_place(own, asked.items(), ComputePath::HostLoops) * share);
            asked.gradient(own, table.size()[1])
        };
        self.tables_by_item().into_iter().enumerate().map(of).collect()
    }

    /// The gradients of all tables from those of the [`Items::composed`] ones.
    pub fn decomposed(
        &self,
        of: &Composition,
        composed: &[RowGradient],
        path: ComputePath,
    ) -> Vec<RowGradient> {
        let features = self.features.as_ref().expect(COMPOSED);
        let (places, pairs) = (of.ids.size()[0], of.pairs.as_ref().expect(COMPOSED));
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
        all.push(features.gradient(pairs, &of_features));
        all
    }

    /// The rows of all tables that a step on a batch of this composition reads.
    pub fn rows_of(&self, of: &Composition) -> Vec<Arc<TouchedRows>> {
        let own = 1 + usize::from(self.scored.is_some());
        let own = std::iter::repeat_n(&of.rows, own);
        own.chain(of.pairs.as_ref().map(Pairs::rows)).cloned().collect()
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

    /// The number of items, padding not counted, whoever has their rows.
    pub fn len(&self) -> usize {
        self.count
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
    /// Rows for `items` items, and a zero row for padding; with `bias`, one column more at the end, all
    /// 0. The rest is what `draw` puts in.
    fn drawn(
        items: usize,
        dim: i64,
        bias: bool,
        device: Device,
        draw: impl FnOnce(&Tensor),
    ) -> Self {
        let size = [items as i64 + 1, dim + i64::from(bias)];
        let weights = table_zeros(&size, Kind::Float, device);
        draw(&weights.narrow(1, 0, dim));
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
