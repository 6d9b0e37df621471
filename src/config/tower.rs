//! The `[tower]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::encoder::{Activation, EncoderConfig, EncoderKind, LayerKind, TransformerLayer};
use super::{HistorySetting, name_of, positive, within};
use crate::misuse;

/// The default of `tower.history`.
const HISTORY: usize = 20;

/// The user encoder and the item table.
#[derive(Clone, Debug, PartialEq)]
pub struct TowerConfig {
    pub encoder: EncoderConfig,
    /// Width of item and user vectors.
    pub dim: i64,
    /// The latest items of a history that the encoder reads.
    pub history: usize,
    /// γ: with `normalize`, scores are γ times the cosine of user and item vector.
    pub scale: f64,
    /// Whether vectors are brought to unit length; without it a score is their inner product.
    pub normalize: bool,
    /// Whether one table serves as what the encoder reads and as what scores are taken with.
    pub tied: bool,
    /// A number for each item that is added to its scores; only without `tied` and `normalize`.
    pub output_bias: bool,
    /// What scores go through before the loss.
    pub activation: Activation,
    /// Whether a score gains a learned number where the item is in the history.
    pub repeats: bool,
    /// Fields of the dataset's items whose vectors are added to those of the items.
    pub item_features: Vec<String>,
    /// Fields of the dataset's users whose vectors are added to what the encoder gives.
    pub user_features: Vec<String>,
    /// The chance that an item's own vector is left out of a training batch.
    pub id_dropout: f64,
}

impl TowerConfig {
    /// The share of numbers that training sets to zero.
    pub fn dropout(&self) -> f64 {
        match self.encoder {
            EncoderConfig::MeanPool => 0.0,
            EncoderConfig::Transformer { dropout, .. } | EncoderConfig::Gru { dropout, .. } => {
                dropout
            }
        }
    }
}

impl Default for TowerConfig {
    fn default() -> Self {
        let TowerSettings { dim, scale, .. } = TowerSettings::default();
        Self {
            encoder: EncoderConfig::MeanPool,
            dim,
            history: HISTORY,
            scale,
            normalize: true,
            tied: true,
            output_bias: false,
            activation: Activation::None,
            repeats: false,
            item_features: vec![],
            user_features: vec![],
            id_dropout: 0.0,
        }
    }
}

/// `[tower]` as a file has it. Keys that the encoder does not read are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TowerSettings {
    pub encoder: EncoderKind,
    pub dim: i64,
    pub history: HistorySetting,
    pub scale: f64,
    /// Default: true for `mean-pool`, else false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tied: Option<bool>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bias: Option<bool>,
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<bool>,
    /// Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub item_features: Vec<String>,
    /// Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_features: Vec<String>,
    /// With `item_features` (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_dropout: Option<f64>,
    /// `transformer` (default 2), `gru` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<i64>,
    /// `transformer` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<i64>,
    /// `transformer` (default 0.2), `gru` (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// `transformer` (default sasrec).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<LayerKind>,
    /// `ligr` layers (default 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widening: Option<i64>,
}

impl Default for TowerSettings {
    fn default() -> Self {
        Self {
            encoder: EncoderKind::MeanPool,
            dim: 32,
            history: HistorySetting::Items(HISTORY),
            scale: 10.0,
            normalize: None,
            tied: None,
            output_bias: None,
            activation: None,
            repeats: None,
            item_features: vec![],
            user_features: vec![],
            id_dropout: None,
            layers: None,
            heads: None,
            dropout: None,
            layer: None,
            widening: None,
        }
    }
}

impl TowerSettings {
    /// Refuses what cannot work, fills in the defaults.
    pub(super) fn checked(self) -> Result<TowerConfig> {
        within("tower.dim", self.dim, 1, 1 << 16)?;
        let HistorySetting::Items(history) = self.history else {
            misuse!("tower.history = \"auto\": only where a dataset is trained on; give a number");
        };
        within("tower.history", history as u64, 1, 1 << 16)?;
        positive("tower.scale", self.scale)?;
        for (key, fields) in
            [("item_features", &self.item_features), ("user_features", &self.user_features)]
        {
            if let Some(at) = (1..fields.len()).find(|&at| fields[..at].contains(&fields[at])) {
                misuse!("tower.{key} names {:?} twice", fields[at]);
            }
        }
        let id_dropout = self.id_dropout.unwrap_or(0.0);
        if !(0.0..1.0).contains(&id_dropout) {
            misuse!("tower.id_dropout = {id_dropout}: must be at least 0 and below 1");
        }
        if id_dropout > 0.0 && self.item_features.is_empty() {
            misuse!(
                "tower.id_dropout = {id_dropout} is only read with tower.item_features: remove it"
            );
        }
        let tower = TowerConfig {
            encoder: self.checked_encoder()?,
            dim: self.dim,
            history,
            scale: self.scale,
            normalize: self.normalize.unwrap_or(self.encoder == EncoderKind::MeanPool),
            tied: self.tied.unwrap_or(true),
            output_bias: self.output_bias.unwrap_or(false),
            activation: self.activation.unwrap_or(Activation::None),
            repeats: self.repeats.unwrap_or(false),
            item_features: self.item_features,
            user_features: self.user_features,
            id_dropout,
        };
        if tower.output_bias && tower.tied {
            misuse!(
                "tower.output_bias = true asks for a table of its own for the scores: set tower.tied = false"
            );
        }
        if tower.output_bias && tower.normalize {
            misuse!("tower.output_bias = true: a cosine has no bias; set tower.normalize = false");
        }
        Ok(tower)
    }

    fn checked_encoder(&self) -> Result<EncoderConfig> {
        let unread = |key: &str, set: bool| -> Result<()> {
            if set {
                let kind = name_of(&self.encoder);
                misuse!("tower.{key} is not read by tower.encoder = {kind}: remove it");
            }
            Ok(())
        };
        let layers = |default| -> Result<i64> {
            let layers = self.layers.unwrap_or(default);
            within("tower.layers", layers, 1, 64)?;
            Ok(layers)
        };
        let dropout = |default| -> Result<f64> {
            let dropout = self.dropout.unwrap_or(default);
            if !(0.0..1.0).contains(&dropout) {
                misuse!("tower.dropout = {dropout}: must be at least 0 and below 1");
            }
            Ok(dropout)
        };
        if self.encoder != EncoderKind::Transformer {
            unread("layer", self.layer.is_some())?;
            unread("widening", self.widening.is_some())?;
        }
        match self.encoder {
            EncoderKind::MeanPool => {
                unread("layers", self.layers.is_some())?;
                unread("heads", self.heads.is_some())?;
                unread("dropout", self.dropout.is_some())?;
                Ok(EncoderConfig::MeanPool)
            }
            EncoderKind::Transformer => {
                let heads = self.heads.unwrap_or(1);
                within("tower.heads", heads, 1, self.dim as u64)?;
                if self.dim % heads != 0 {
                    misuse!("tower.heads = {heads}: must divide tower.dim = {}", self.dim);
                }
                Ok(EncoderConfig::Transformer {
                    layers: layers(2)?,
                    heads,
                    dropout: dropout(0.2)?,
                    layer: self.checked_layer()?,
                })
            }
            EncoderKind::Gru => {
                unread("heads", self.heads.is_some())?;
                Ok(EncoderConfig::Gru { layers: layers(1)?, dropout: dropout(0.0)? })
            }
        }
    }

    fn checked_layer(&self) -> Result<TransformerLayer> {
        match self.layer.unwrap_or(LayerKind::Sasrec) {
            LayerKind::Sasrec if self.widening.is_some() => {
                misuse!("tower.widening is only read by tower.layer = \"ligr\": remove it");
            }
            LayerKind::Sasrec => Ok(TransformerLayer::Sasrec),
            LayerKind::Ligr => {
                let widening = self.widening.unwrap_or(4);
                within("tower.widening", widening, 1, 64)?;
                Ok(TransformerLayer::Ligr { widening })
            }
        }
    }
}

impl From<TowerConfig> for TowerSettings {
    fn from(tower: TowerConfig) -> Self {
        let (layers, heads, dropout) = match tower.encoder {
            EncoderConfig::MeanPool => (None, None, None),
            EncoderConfig::Transformer { layers, heads, dropout, .. } => {
                (Some(layers), Some(heads), Some(dropout))
            }
            EncoderConfig::Gru { layers, dropout } => (Some(layers), None, Some(dropout)),
        };
        let widening = match tower.encoder {
            EncoderConfig::Transformer { layer: TransformerLayer::Ligr { widening }, .. } => {
                Some(widening)
            }
            _ => None,
        };
        Self {
            encoder: tower.encoder.kind(),
            dim: tower.dim,
            history: HistorySetting::Items(tower.history),
            scale: tower.scale,
            normalize: Some(tower.normalize),
            tied: Some(tower.tied),
            output_bias: Some(tower.output_bias),
            activation: Some(tower.activation),
            // Only where they are on: without them saved configurations, whose hashes name the
            // points of sweeps, stay what they were.
            repeats: tower.repeats.then_some(true),
            id_dropout: (tower.id_dropout > 0.0).then_some(tower.id_dropout),
            item_features: tower.item_features,
            user_features: tower.user_features,
            layers,
            heads,
            dropout,
            layer: widening.map(|_| LayerKind::Ligr),
            widening,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TowerConfig> {
        toml::from_str::<TowerSettings>(text)?.checked()
    }

    #[test]
    fn defaults_depend_on_the_encoder() {
        let sasrec = parse("encoder = \"transformer\"").unwrap();
        let layer = TransformerLayer::Sasrec;
        let expected = EncoderConfig::Transformer { layers: 2, heads: 1, dropout: 0.2, layer };
        assert_eq!((sasrec.encoder, sasrec.dropout()), (expected, 0.2));
        assert_eq!((sasrec.normalize, sasrec.tied), (false, true));
        let two_tower = parse("").unwrap();
        assert_eq!(two_tower, TowerConfig::default());
        assert_eq!((two_tower.normalize, two_tower.dropout()), (true, 0.0));
        let gru = parse("encoder = \"gru\"\nnormalize = true").unwrap();
        assert_eq!(gru.encoder, EncoderConfig::Gru { layers: 1, dropout: 0.0 });
        assert!(gru.normalize);
    }

    #[test]
    fn only_what_the_encoder_reads_is_written() {
        let written =
            |text: &str| toml::to_string(&TowerSettings::from(parse(text).unwrap())).unwrap();
        let two_tower = written("");
        assert!(two_tower.contains("normalize = true") && two_tower.contains("tied = true"));
        assert!(!two_tower.contains("layers") && !two_tower.contains("dropout"), "{two_tower}");
        assert!(
            !two_tower.contains("repeats") && written("repeats = true").contains("repeats = true")
        );
        let gru = written("encoder = \"gru\"");
        assert!(gru.contains("layers = 1") && !gru.contains("heads"), "{gru}");
        // Saved configurations of SASRec's layers stay what they were.
        assert!(!written("encoder = \"transformer\"\nlayer = \"sasrec\"").contains("layer ="));
        let ligr = written("encoder = \"transformer\"\nlayer = \"ligr\"");
        assert!(ligr.contains("layer = \"ligr\"") && ligr.contains("widening = 4"), "{ligr}");
        assert_eq!(
            parse(&ligr).unwrap(),
            parse("encoder = \"transformer\"\nlayer = \"ligr\"").unwrap()
        );
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
            ("encoder = \"gru\"\nlayer = \"ligr\"", "tower.layer"),
            ("encoder = \"transformer\"\nwidening = 2", "tower.widening"),
            ("encoder = \"transformer\"\nlayer = \"ligr\"\nwidening = 0", "tower.widening"),
            ("item_features = [\"a\", \"b\", \"a\"]", "tower.item_features names \"a\" twice"),
            ("user_features = [\"b\", \"b\"]", "tower.user_features names \"b\" twice"),
            (
                "item_features = [\"a\"]\nid_dropout = 1.0",
                "tower.id_dropout = 1: must be at least 0",
            ),
            ("item_features = [\"a\"]\nid_dropout = -0.1", "tower.id_dropout = -0.1: must be"),
            ("item_features = [\"a\"]\nid_dropout = nan", "tower.id_dropout = NaN: must be"),
            ("user_features = [\"a\"]\nid_dropout = 0.1", "only read with tower.item_features"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
