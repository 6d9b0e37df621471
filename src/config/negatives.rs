//! `[[sampling.negatives]]`: a source of candidates.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{name_of, within};
use crate::misuse;

/// A source of candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NegativeSource {
    pub from: Origin,
    /// Candidates that a target gets from here.
    pub count: usize,
    /// Who shares one draw.
    pub per: Per,
}

/// What candidates are drawn from, with replacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// The catalogue, every item alike.
    Uniform,
    /// The catalogue, an item in proportion to its count in the training sequences to the power of
    /// `power`.
    Popularity { power: f64 },
    /// The clicks of the batch's other users or sessions.
    InBatch,
}

/// Who shares one draw of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The whole batch.
    Batch,
    /// The positions of a session; a user has one.
    Session,
    /// Nobody: every target has its own.
    Event,
}

/// A source of candidates as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegativeSettings {
    pub from: OriginKind,
    pub count: usize,
    pub per: Per,
    /// `popularity` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
}

/// The kind of an [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    Uniform,
    Popularity,
    InBatch,
}

impl NegativeSettings {
    /// Refuses what cannot work, fills in the defaults.
    pub(super) fn checked(&self) -> Result<NegativeSource> {
        let kind = name_of(&self.from);
        within("sampling.negatives.count", self.count as u64, 1, 1 << 24)?;
        if self.from == OriginKind::InBatch && self.per == Per::Batch {
            misuse!(
                "sampling.negatives: {kind} candidates are clicks of *other* users or sessions, so a batch cannot share them; set per = \"session\" or \"event\""
            );
        }
        if self.from != OriginKind::Popularity && self.power.is_some() {
            misuse!("sampling.negatives: power is not read by from = {kind}: remove it");
        }
        if let Some(power) = self.power.filter(|power| !power.is_finite()) {
            misuse!("sampling.negatives.power = {power}: must be a finite number");
        }
        let from = match self.from {
            OriginKind::Uniform => Origin::Uniform,
            OriginKind::Popularity => Origin::Popularity { power: self.power.unwrap_or(1.0) },
            OriginKind::InBatch => Origin::InBatch,
        };
        Ok(NegativeSource { from, count: self.count, per: self.per })
    }
}

impl From<NegativeSource> for NegativeSettings {
    fn from(source: NegativeSource) -> Self {
        let (from, power) = match source.from {
            Origin::Uniform => (OriginKind::Uniform, None),
            Origin::Popularity { power } => (OriginKind::Popularity, Some(power)),
            Origin::InBatch => (OriginKind::InBatch, None),
        };
        Self { from, count: source.count, per: source.per, power }
    }
}
