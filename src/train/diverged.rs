//! A batch whose loss is no number: which rows it read, and which of its weights are no numbers.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::batch::Batch;
use crate::data::Item;
use crate::device;
use crate::error::short;
use crate::model::{Asked, Model};

/// What is known of such a batch: `diverged.json` of its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diverged {
    /// The step, from 1.
    pub step: u64,
    /// As it is printed: JSON has neither NaN nor infinities.
    pub loss: String,
    /// Parameters of the model that are no numbers, before the step.
    pub parameters: Vec<String>,
    /// The items that the batch read, by their original ids, whose weights are no numbers.
    pub broken_items: Vec<String>,
    /// All items that the batch read, by their original ids.
    pub items: Vec<String>,
}

impl Diverged {
    /// Of the batch of step `step`, which has moved nothing yet.
    pub fn of(batch: &Batch, step: u64, loss: f64, model: &Model, items: &[Item]) -> Self {
        let is_broken = |tensor: &Tensor| !device::is_finite(tensor);
        let parameters = model.parameters().into_iter().filter(|(_, own)| is_broken(own));
        let (mut all, mut broken) = (vec![], vec![]);
        let mut look = |ids: &Tensor, rows: &Tensor| {
            let bad = rows.isfinite().all_dim(1, false).logical_not();
            broken.extend(listed(&ids.masked_select(&bad)));
            all.extend(listed(ids));
        };
        let (team, tables) = (model.items.team(), model.items.tables_by_item());
        match &batch.composition {
            // What any rank reads, all ask for.
            Some(of) if !team.is_alone() => {
                let ids = team.each(&listed(&of.ids)).concat();
                let (asked, places) = Asked::of_any(team, &ids);
                let ids = Tensor::from_slice(&ids);
                tables.iter().for_each(|(_, table)| {
                    look(&ids, &asked.rows_of(table).index_select(0, &places));
                });
            }
            Some(of) => {
                let ids = of.rows.ids();
                tables.iter().for_each(|(_, table)| look(ids, &table.index_select(0, ids)));
            }
            None => {
                for (rows, (_, table)) in batch.rows.iter().zip(&tables) {
                    look(rows.ids(), &table.index_select(0, rows.ids()));
                }
            }
        }
        let named = |mut ids: Vec<i64>| -> Vec<String> {
            ids.sort_unstable();
            ids.dedup();
            // 0 is padding.
            let ids = ids.into_iter().filter(|id| *id > 0);
            ids.map(|id| items[id as usize - 1].original.to_string()).collect()
        };
        Self {
            step,
            loss: loss.to_string(),
            parameters: parameters.map(|(name, _)| name.to_owned()).collect(),
            broken_items: named(broken),
            items: named(all),
        }
    }

    /// In a sentence that ends in a place for more.
    pub fn told(&self) -> String {
        let Self { step, loss, parameters, broken_items, items } = self;
        let broken = match (parameters.is_empty(), broken_items.first()) {
            (false, _) => {
                format!("the weights {} were no numbers before it", parameters.join(", "))
            }
            (true, Some(first)) => format!(
                "of its {} items {} had weights that are no numbers, {:?} the first of them",
                items.len(),
                broken_items.len(),
                short(first)
            ),
            (true, None) => {
                format!("the weights of its {} items were numbers before it", items.len())
            }
        };
        format!("the loss is {loss} at step {step}; {broken}")
    }
}

fn listed(ids: &Tensor) -> Vec<i64> {
    Vec::try_from(device::host_copy(ids).view(-1)).expect("ids are whole numbers")
}
