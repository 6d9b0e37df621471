//! The `[tower]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{name_of, positive, within};
use crate::misuse;

/// The user encoder and the item table.
///
/// Keys that depend on the encoder are filled in where it reads them and refused where it does
/// not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TowerConfig {
    pub encoder: EncoderKind,
    /// Width of item and user vectors.
    pub dim: i64,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    /// γ: with `normalize`, scores are γ times the cosine of user and item vector.
    pub scale: f64,
    /// Whether vectors are brought to unit length; without it a score is their inner product
    /// (default: true for `mean-pool`, else false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Whether one table serves as what the encoder reads and as what scores are taken with
    /// (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tied: Option<bool>,
    /// A number for each item that is added to its scores; asks for `tied = false` (default
    /// false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bias: Option<bool>,
    /// What scores go through before the loss (default none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Layers of the encoder (`transformer`, default 2; `gru`, default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<i64>,
    /// Attention heads (`transformer`, default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<i64>,
    /// The share of numbers that training sets to zero (`transformer`, `gru`; default 0.2 and 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

/// Turns a history into a user vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    /// One dense layer on the mean of the history's item vectors.
    MeanPool,
    /// SASRec's: causal self-attention over the history.
    Transformer,
    /// GRU4Rec's: a recurrent layer over the history.
    Gru,
}

/// What scores go through before the loss; both keep the order of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    None,
    /// Below 0, ½·(eˣ − 1).
    Elu,
}

impl Default for TowerConfig {
    fn default() -> Self {
        Self {
            encoder: EncoderKind::MeanPool,
            dim: 32,
            history: 20,
            scale: 10.0,
            normalize: None,
            tied: None,
            output_bias: None,
            activation: None,
            layers: None,
            heads: None,
            dropout: None,
        }
    }
}

impl TowerConfig {
    /// Whether vectors are brought to unit length.
    pub fn normalized(&self) -> bool {
        self.normalize.unwrap_or(self.encoder == EncoderKind::MeanPool)
    }

    /// What the inner product of user and item vector is multiplied with: γ, or 1 where vectors
    /// have lengths of their own.
    pub fn factor(&self) -> f64 {
        if self.normalized() { self.scale } else { 1.0 }
    }

    /// Whether one table serves input and output.
    pub fn is_tied(&self) -> bool {
        self.tied.unwrap_or(true)
    }

    /// Whether the output table has a column of biases.
    pub fn has_bias(&self) -> bool {
        self.output_bias.unwrap_or(false)
    }

    /// Refuses what cannot work, fills in what the encoder reads.
    pub(super) fn checked(mut self) -> Result<Self> {
        use EncoderKind::{Gru, MeanPool, Transformer};
        let kind = self.encoder;
        within("tower.dim", self.dim.try_into().unwrap_or(0), 1, 1 << 16)?;
        within("tower.history", self.history as u64, 1, 1 << 16)?;
        positive("tower.scale", self.scale)?;
        let layers = if kind == Transformer { 2 } else { 1 };
        let dropout = if kind == Transformer { 0.2 } else { 0.0 };
        fill("layers", kind, kind != MeanPool, &mut self.layers, layers)?;
        fill("heads", kind, kind == Transformer, &mut self.heads, 1)?;
        fill("dropout", kind, matches!(kind, Transformer | Gru), &mut self.dropout, dropout)?;
        if kind != MeanPool {
            // The defaults that a reader of the saved configuration may not know.
            self.normalize.get_or_insert(false);
            self.tied.get_or_insert(true);
        }
        if let Some(layers) = self.layers {
            within("tower.layers", layers.try_into().unwrap_or(0), 1, 64)?;
        }
        if let Some(heads) = self.heads {
            within("tower.heads", heads.try_into().unwrap_or(0), 1, self.dim as u64)?;
            if self.dim % heads != 0 {
                misuse!("tower.heads = {heads}: must divide tower.dim = {}", self.dim);
            }
        }
        if let Some(p) = self.dropout.filter(|p| !(0.0..1.0).contains(p)) {
            misuse!("tower.dropout = {p}: must be at least 0 and below 1");
        }
        if self.has_bias() && self.is_tied() {
            misuse!(
                "tower.output_bias = true asks for a table of its own for the scores: set tower.tied = false"
            );
        }
        if self.has_bias() && self.normalized() {
            misuse!("tower.output_bias = true: a cosine has no bias; set tower.normalize = false");
        }
        Ok(self)
    }
}

fn fill<T>(
    key: &str,
    kind: EncoderKind,
    read: bool,
    value: &mut Option<T>,
    default: T,
) -> Result<()> {
    if read {
        value.get_or_insert(default);
    } else if value.is_some() {
        misuse!("tower.{key} is not read by tower.encoder = {}: remove it", name_of(&kind));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TowerConfig> {
        toml::from_str::<TowerConfig>(text)?.checked()
    }

    #[test]
    fn defaults_depend_on_the_encoder() {
        let sasrec = parse("encoder = \"transformer\"").unwrap();
        assert_eq!((sasrec.layers, sasrec.heads, sasrec.dropout), (Some(2), Some(1), Some(0.2)));
        assert_eq!((sasrec.factor(), sasrec.is_tied()), (1.0, true));
        let two_tower = parse("").unwrap();
        assert_eq!((two_tower.factor(), two_tower.layers), (10.0, None));
        assert!(!toml::to_string(&two_tower).unwrap().contains("tied"));
        assert_eq!(parse("encoder = \"gru\"\nnormalize = true").unwrap().factor(), 10.0);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, word) in [
            ("layers = 2", "tower.layers"),
            ("encoder = \"gru\"\nheads = 2", "tower.heads"),
            ("encoder = \"transformer\"\nheads = 3", "divide"),
            ("encoder = \"transformer\"\ndropout = 1.0", "tower.dropout"),
            ("encoder = \"gru\"\noutput_bias = true", "tower.tied = false"),
            ("tied = false\noutput_bias = true", "tower.normalize = false"),
            ("encoder = \"transformer\"\nlayers = 0", "tower.layers"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
