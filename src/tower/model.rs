//! The whole model: item table and user encoder, by the configuration.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::{Dropout, Encoder, Gru, ItemTable, Layout, MeanPool, Transformer, unit};
use crate::config::{EncoderConfig, TowerConfig};
use crate::files;

/// Names of the tables among the saved weights.
const TABLE: &str = "items";
const OUTPUTS: &str = "outputs";

/// Weights by name.
pub type Weights = Vec<(&'static str, Tensor)>;

/// Item table and user encoder.
pub struct TwoTower {
    /// What the encoder reads, and what scores are taken with where there are no `outputs`.
    pub items: ItemTable,
    /// The table that scores are taken with, where it is not tied to `items`; `[items + 1, dim]`,
    /// or `[items + 1, dim + 1]` with biases.
    pub outputs: Option<ItemTable>,
    pub encoder: Box<dyn Encoder>,
    /// Whether vectors are brought to unit length.
    normalize: bool,
    history: usize,
}

impl TwoTower {
    /// A model with initial weights drawn from `seed`.
    pub fn new(config: &TowerConfig, items: usize, seed: u64, device: Device) -> Self {
        let encoder: Box<dyn Encoder> = match config.encoder {
            EncoderConfig::MeanPool => Box::new(MeanPool::new(config.dim, seed, device)),
            EncoderConfig::Transformer { layers, heads, .. } => {
                Box::new(Transformer::new(config, (layers, heads), seed, device))
            }
            EncoderConfig::Gru { layers, .. } => Box::new(Gru::new(config, layers, seed, device)),
        };
        let outputs = || ItemTable::for_scores(items, config.dim, config.output_bias, seed, device);
        Self {
            items: ItemTable::new(items, config.dim, seed, device),
            outputs: (!config.tied).then(outputs),
            encoder,
            normalize: config.normalize,
            history: config.history,
        }
    }

    /// User vectors `[batch, dim]` of histories `[batch, history]` (int64 item ids, oldest
    /// first, padded with 0 at the end).
    pub fn users(&self, histories: &Tensor) -> Tensor {
        let _guard = tch::no_grad_guard();
        let mask = histories.ne(0).to_kind(Kind::Float);
        self.finished(self.encoder.encode(&self.items.gather(histories), &mask, None))
    }

    /// User vectors from the rows `[batch, history, dim]` of `histories`, for training.
    pub fn user_vectors(
        &self,
        rows: &Tensor,
        histories: &Tensor,
        dropout: Option<&Dropout>,
    ) -> Tensor {
        let mask = histories.ne(0).to_kind(rows.kind());
        self.finished(self.encoder.encode(rows, &mask, dropout))
    }

    /// The vectors of all positions `[positions, dim]` from their items' rows `[positions, dim]`,
    /// as [`Encoder::positions`]; one wider where items have biases.
    pub fn positions(&self, rows: &Tensor, layout: &Layout, dropout: Option<&Dropout>) -> Tensor {
        self.finished(self.encoder.positions(rows, layout, dropout))
    }

    /// What scores are taken with, from rows of [`TwoTower::scored`].
    pub fn candidates(&self, rows: &Tensor) -> Tensor {
        if self.normalize { unit(rows) } else { rows.shallow_clone() }
    }

    /// The table that scores are taken with.
    pub fn scored(&self) -> &ItemTable {
        self.outputs.as_ref().unwrap_or(&self.items)
    }

    /// The vectors of all items `[items, dim]`, row `i` is item `i + 1`: their inner products with
    /// a user's vector rank the catalogue.
    pub fn item_vectors(&self) -> Tensor {
        let table = self.scored();
        self.candidates(&table.weights().narrow(0, 1, table.items() as i64))
    }

    /// The latest items of a history that the encoder reads.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Whether vectors have unit length.
    pub fn normalizes(&self) -> bool {
        self.normalize
    }

    fn finished(&self, vectors: Tensor) -> Tensor {
        let vectors = if self.normalize { unit(&vectors) } else { vectors };
        if self.scored().dim() == self.items.dim() {
            return vectors;
        }
        // What a bias is multiplied with.
        let one = Tensor::ones([vectors.size()[0], 1], (vectors.kind(), vectors.device()));
        Tensor::cat(&[vectors, one], 1)
    }

    /// All weights by name, sharing the model's memory.
    pub fn weights(&self) -> Weights {
        let mut all = self.encoder.parameters();
        all.push((TABLE, self.items.weights()));
        all.extend(self.outputs.iter().map(|outputs| (OUTPUTS, outputs.weights())));
        all
    }

    /// A copy of all weights.
    pub fn snapshot(&self) -> Weights {
        self.weights().into_iter().map(|(name, w)| (name, w.detach().copy())).collect()
    }

    /// Puts weights of the same names and shapes in place of the model's.
    ///
    /// # Errors
    /// Names the weight that is missing or of another shape.
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
            own.copy_(saved);
        }
        Ok(())
    }

    /// Restores weights that [`save`] wrote.
    ///
    /// # Errors
    /// Names the file where it cannot be read or does not fit.
    pub fn load(&self, path: &Path) -> Result<()> {
        Tensor::read_safetensors(path)
            .map_err(anyhow::Error::from)
            .and_then(|weights| self.restore(&weights))
            .with_context(|| format!("cannot use the weights in {}", path.display()))
    }
}

/// Writes weights as a safetensors file.
pub fn save(weights: &Weights, path: &Path) -> Result<()> {
    files::write_with(path, |staging| Ok(Tensor::write_safetensors(weights, staging)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(items: usize, seed: u64) -> TwoTower {
        TwoTower::new(&TowerConfig { dim: 4, ..Default::default() }, items, seed, Device::Cpu)
    }

    #[test]
    fn saved_weights_come_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let (a, b) = (model(9, 1), model(9, 2));
        let histories = Tensor::from_slice2(&[[1i64, 2, 3], [9, 0, 0]]);
        assert_ne!(a.users(&histories), b.users(&histories));
        save(&a.snapshot(), &path).unwrap();
        b.load(&path).unwrap();
        assert_eq!(a.users(&histories), b.users(&histories));
    }

    #[test]
    fn weights_that_do_not_fit_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        save(&model(9, 1).snapshot(), &path).unwrap();
        let error = format!("{:#}", model(10, 1).load(&path).unwrap_err());
        assert!(error.contains("w.safetensors") && error.contains("items"), "{error}");
    }

    #[test]
    fn vectors_have_unit_length_and_padding_is_zero() {
        let model = model(9, 3);
        let table = model.items.weights();
        assert_eq!(table.get(0).abs().sum(tch::Kind::Float).double_value(&[]), 0.0);
        assert!(table.abs().max().double_value(&[]) <= (6.0f64 / 14.0).sqrt());
        let square = model.item_vectors().square().sum_dim_intlist(1, false, tch::Kind::Float);
        assert!(Vec::<f32>::try_from(square).unwrap().iter().all(|n| (n - 1.0).abs() < 1e-5));
    }
}
