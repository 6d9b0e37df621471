//! Encoders, their layers, and what scores go through.

use serde::{Deserialize, Serialize};

/// Turns a history into a user vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EncoderConfig {
    /// One dense layer on the mean of the history's item vectors.
    MeanPool,
    /// SASRec's: causal self-attention over the history.
    Transformer {
        layers: i64,
        /// Attention heads; they divide the width.
        heads: i64,
        /// The share of numbers that training sets to zero.
        dropout: f64,
        layer: TransformerLayer,
    },
    /// GRU4Rec's: recurrent layers over the history.
    Gru { layers: i64, dropout: f64 },
}

/// What a layer of the Transformer does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TransformerLayer {
    /// Adds attention and a network with ReLU to what it reads.
    Sasrec,
    /// Adds them through gates; the network is a SwiGLU, `widening` times as wide as the vectors.
    Ligr { widening: i64 },
}

/// The kind of a Transformer's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerKind {
    Sasrec,
    Ligr,
}

/// The kind of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    MeanPool,
    Transformer,
    Gru,
}

impl EncoderKind {
    /// The name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::MeanPool => "mean pooling",
            Self::Transformer => "Transformer",
            Self::Gru => "GRU",
        }
    }
}

/// What scores go through before the loss; both keep the order of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    None,
    /// Below 0, ½·(eˣ − 1).
    Elu,
}

impl EncoderConfig {
    pub fn kind(self) -> EncoderKind {
        match self {
            Self::MeanPool => EncoderKind::MeanPool,
            Self::Transformer { .. } => EncoderKind::Transformer,
            Self::Gru { .. } => EncoderKind::Gru,
        }
    }
}
