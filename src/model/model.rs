//! The whole model, by the configuration.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use tch::{Device, Tensor};

use super::items::KnownItems;
use super::{
    Additions, Dropout, Encoder, FeatureTable, Items, Layout, Repeats, Scoring, ValueLists,
    build_encoder,
};
use crate::config::TowerConfig;
use crate::optim::Named;
use crate::ranks::Team;

/// The name of the table of users' features among the saved weights.
const USERS: &str = "user_features";

/// Items, an encoder, the scoring rule and what repeats add to it.
pub struct Model {
    pub items: Items,
    pub encoder: Box<dyn Encoder>,
    pub scoring: Scoring,
    /// Where they are on.
    pub repeats: Option<Repeats>,
    /// What is known of users besides their histories.
    pub user_features: Option<FeatureTable>,
    history: usize,
}

/// What is known of a dataset's items and users besides their ids, as far as towers read it.
#[derive(Default)]
pub struct Known {
    pub items: Option<KnownItems>,
    pub users: Option<Arc<ValueLists>>,
}

/// Which positions of a history ask for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queries {
    /// Every one.
    Every,
    /// The last one.
    Last,
}

impl Model {
    /// A model with initial weights drawn from `seed`.
    pub fn new(config: &TowerConfig, items: usize, seed: u64, device: Device) -> Self {
        Self::of(config, Items::new(config, items, seed, device), seed, device)
    }

    /// The same of which each of several ranks has a part of the items' rows, on the host.
    pub fn sharded(config: &TowerConfig, items: usize, seed: u64, team: &Team) -> Self {
        let items = Items::sharded(config, items, seed, team);
        Self::of(config, items, seed, Device::Cpu)
    }

    fn of(config: &TowerConfig, items: Items, seed: u64, device: Device) -> Self {
        Self {
            items,
            encoder: build_encoder(config, seed, device),
            scoring: Scoring::new(config),
            repeats: config.repeats.then(|| Repeats::new(config.history, device)),
            user_features: None,
            history: config.history,
        }
    }

    /// The same with features, whose vectors are drawn from `seed`.
    pub fn knowing(self, known: &Known, seed: u64) -> Self {
        let items = match &known.items {
            Some(known) => self.items.knowing(known, seed),
            None => self.items,
        };
        let (dim, device) = (items.read().dim(), items.read().weights().device());
        let of_users = |lists: &Arc<ValueLists>| {
            FeatureTable::drawn(USERS, lists.clone(), dim, (seed, 4), device)
        };
        Self { items, user_features: known.users.as_ref().map(of_users), ..self }
    }

    /// User vectors `[batch, dim]` of histories `[batch, history]` (int64 item ids, oldest
    /// first, padded with 0 at the end), as scores are taken with them; `features` `[batch, dim]`:
    /// what those of the users add, where there are such.
    pub fn users(&self, histories: &Tensor, features: Option<&Tensor>) -> Tensor {
        let _guard = tch::no_grad_guard();
        let rows = self.items.read_of(&histories.view(-1));
        self.queries(&rows, &Layout::padded(histories), Queries::Last, None, features)
    }

    /// The vectors of queries `[queries, dim]`, one wider where items have biases, from the rows
    /// `[positions, dim]` of their histories' items; their inner products with
    /// [`Scoring::items`] rank the catalogue. `features` `[queries, dim]`: what those of the users add
    /// to what the encoder gives, where there are such.
    pub fn queries(
        &self,
        rows: &Tensor,
        layout: &Layout,
        queries: Queries,
        dropout: Option<&Dropout>,
        features: Option<&Tensor>,
    ) -> Tensor {
        let vectors = match queries {
            Queries::Every => self.encoder.positions(rows, layout, dropout),
            Queries::Last => self.encoder.last(rows, layout, dropout),
        };
        match features {
            Some(features) => self.scoring.users(&(vectors + features)),
            None => self.scoring.users(&vectors),
        }
    }

    /// The vectors of all items `[items, dim]`, row `i` is item `i + 1`: their inner products with
    /// a user's vector rank the catalogue.
    pub fn item_vectors(&self) -> Tensor {
        self.scoring.items(&self.items.scored_rows())
    }

    /// What the inner products of a user's and items' vectors gain by repeats, where they are on.
    pub fn additions(&self) -> Option<Additions> {
        self.repeats.as_ref().map(|repeats| repeats.of_products(&self.scoring))
    }

    /// The latest items of a history that the encoder reads.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Where the model's tensors are.
    pub fn device(&self) -> Device {
        self.items.read().weights().device()
    }

    /// The parameters that are moved whole, by name: the encoder's, and that of repeats.
    pub fn parameters(&self) -> Named {
        let mut all = self.encoder.parameters();
        all.extend(self.repeats.iter().map(Repeats::parameter));
        all
    }

    /// All tables, which are moved by rows, by name, sharing their memory.
    pub fn tables(&self) -> Named {
        let mut all = self.items.tables();
        all.extend(self.user_features.iter().map(FeatureTable::table));
        all
    }

    /// All weights by name, sharing the model's memory.
    pub fn weights(&self) -> Named {
        let mut all = self.parameters();
        all.extend(self.tables());
        all
    }

    /// A copy of all weights.
    pub fn snapshot(&self) -> Named {
        self.weights().into_iter().map(|(name, w)| (name, w.detach().copy())).collect()
    }

    /// Puts weights of the same names and shapes in place of the model's.
    ///
    /// # Errors
    /// Names the weight that is missing, or of another shape or kind.
    pub fn restore<S: AsRef<str>>(&self, weights: &[(S, Tensor)]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut own) in self.weights() {
            let Some((_, saved)) = weights.iter().find(|(n, _)| n.as_ref() == name) else {
                bail!("the weight `{name}` is missing");
            };
            ensure!(
                own.size() == saved.size(),
                "the weight `{name}` has shape {:?}, but configuration and dataset ask for {:?}",
                saved.size(),
                own.size()
            );
            ensure!(
                own.kind() == saved.kind(),
                "the weight `{name}` is of {:?} where {:?} is expected",
                saved.kind(),
                own.kind()
            );
            own.copy_(saved);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::save;
    use super::*;

    fn model(items: usize, seed: u64) -> Model {
        Model::new(&TowerConfig { dim: 4, ..Default::default() }, items, seed, Device::Cpu)
    }

    #[test]
    fn saved_weights_come_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let (a, b) = (model(9, 1), model(9, 2));
        let histories = Tensor::from_slice2(&[[1i64, 2, 3], [9, 0, 0]]);
        assert_ne!(a.users(&histories, None), b.users(&histories, None));
        save(&a.snapshot(), &path).unwrap();
        b.load(&path).unwrap();
        assert_eq!(a.users(&histories, None), b.users(&histories, None));
    }

    #[test]
    fn weights_that_do_not_fit_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        save(&model(9, 1).snapshot(), &path).unwrap();
        let error = format!("{:#}", model(10, 1).load(&path).unwrap_err());
        assert!(error.contains("w.safetensors") && error.contains("items"), "{error}");
        let whole = |(name, weight): (&'static str, Tensor)| (name, weight.to_kind(tch::Kind::Int));
        save(&model(9, 1).snapshot().into_iter().map(whole).collect(), &path).unwrap();
        let error = format!("{:#}", model(9, 1).load(&path).unwrap_err());
        assert!(error.contains("is of Int where Float is expected"), "{error}");
    }

    #[test]
    fn vectors_have_unit_length_and_padding_is_zero() {
        let model = model(9, 3);
        let table = model.items.read().weights();
        assert_eq!(table.get(0).abs().sum(tch::Kind::Float).double_value(&[]), 0.0);
        assert!(table.abs().max().double_value(&[]) <= (6.0f64 / 14.0).sqrt());
        let square = model.item_vectors().square().sum_dim_intlist(1, false, tch::Kind::Float);
        assert!(Vec::<f32>::try_from(square).unwrap().iter().all(|n| (n - 1.0).abs() < 1e-5));
    }
}
