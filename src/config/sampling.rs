//! The `[sampling]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{name_of, within};
use crate::misuse;

/// Batches and negatives.
///
/// `samples = "users"` reads `negatives_per_positive`, `accidental_hits` and `first_position`;
/// `samples = "positions"` reads `negatives`, `top_k`, `reject` and `order`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// What a training sample is (default `users`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// Users or sessions a batch, all distinct.
    pub batch: usize,
    /// Negatives drawn a batch, as a multiple of `batch`; the whole batch shares them.
    pub negatives_per_positive: usize,
    /// What happens to a drawn negative that is the positive itself.
    pub accidental_hits: AccidentalHits,
    /// The earliest position (0-based) of a sequence that can be a training target.
    pub first_position: usize,
    /// How many of a position's candidates, the best by score, are its negatives; 0 takes them
    /// all (default 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Which candidates are no rivals (default `session`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<Reject>,
    /// The order of sessions within an epoch (default `shuffled`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Where candidates come from; a position gets those of all sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Vec<NegativeSource>>,
}

/// What a training sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Samples {
    /// A user, cut at a random position.
    Users,
    /// Every position of a session, all in one pass through the encoder.
    Positions,
}

/// A negative that is the positive itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccidentalHits {
    /// It counts as if it had not been drawn: an item is not its own rival, and the rank estimate
    /// (N/M)·Σφ stays unbiased.
    Mask,
    /// It counts as a rival with a gap of 0, as in the published code.
    Keep,
}

/// A source of candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegativeSource {
    pub from: Origin,
    /// Candidates that a position gets from here.
    pub count: usize,
    /// Who shares one draw.
    pub per: Per,
    /// a: an item is drawn in proportion to its count in the training sessions to the power of a
    /// (`popularity`, default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
}

/// What candidates are drawn from, with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The catalogue, every item alike.
    Uniform,
    /// The catalogue, by popularity.
    Popularity,
    /// The clicks of the batch's other sessions.
    InBatch,
}

/// Who shares one draw of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The whole batch.
    Batch,
    /// The positions of a session.
    Session,
    /// Nobody: every position has its own.
    Event,
}

/// Candidates that count as if they had not been drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reject {
    /// All count, the position's own target too: as in the published code.
    None,
    /// The position's target.
    Label,
    /// All items of the position's session, targets and the click still to come included.
    Session,
}

/// The order of sessions within an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A new one each epoch.
    Shuffled,
    /// That of the data set: the published code's, worse where the data set is sorted by time.
    Given,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            samples: None,
            batch: 256,
            negatives_per_positive: 10,
            accidental_hits: AccidentalHits::Mask,
            first_position: 4,
            top_k: None,
            reject: None,
            order: None,
            negatives: None,
        }
    }
}

impl SamplingConfig {
    /// What a training sample is.
    pub fn samples(&self) -> Samples {
        self.samples.unwrap_or(Samples::Users)
    }

    /// The sources of candidates; none for `users`.
    pub fn sources(&self) -> &[NegativeSource] {
        self.negatives.as_deref().unwrap_or_default()
    }

    /// M: the candidates of a position.
    pub fn candidates(&self) -> usize {
        self.sources().iter().map(|source| source.count).sum()
    }

    /// Refuses what cannot work, fills in what the kind of sample reads.
    pub(super) fn checked(mut self) -> Result<Self> {
        within("sampling.batch", self.batch as u64, 1, 1 << 20)?;
        within("sampling.negatives_per_positive", self.negatives_per_positive as u64, 1, 1 << 16)?;
        within("sampling.first_position", self.first_position as u64, 1, 1 << 31)?;
        let positions = self.samples() == Samples::Positions;
        fill("top_k", positions, &mut self.top_k, 0)?;
        fill("reject", positions, &mut self.reject, Reject::Session)?;
        fill("order", positions, &mut self.order, Order::Shuffled)?;
        fill("negatives", positions, &mut self.negatives, vec![])?;
        if !positions {
            return Ok(self);
        }
        for source in self.negatives.iter_mut().flatten() {
            let kind = name_of(&source.from);
            within("sampling.negatives.count", source.count as u64, 1, 1 << 24)?;
            if source.from == Origin::InBatch && source.per == Per::Batch {
                misuse!(
                    "sampling.negatives: {kind} candidates are clicks of *other* sessions, so a batch cannot share them; set per = \"session\" or \"event\""
                );
            }
            if source.from == Origin::Popularity {
                source.power.get_or_insert(1.0);
            } else if source.power.is_some() {
                misuse!("sampling.negatives: power is not read by from = {kind}: remove it");
            }
            if let Some(power) = source.power.filter(|power| !power.is_finite()) {
                misuse!("sampling.negatives.power = {power}: must be a finite number");
            }
        }
        let candidates = self.candidates();
        if candidates == 0 {
            misuse!(
                "sampling.samples = \"positions\" needs at least one [[sampling.negatives]], for example from = \"uniform\", count = 2048, per = \"batch\""
            );
        }
        if let Some(k) = self.top_k.filter(|&k| k > candidates) {
            misuse!(
                "sampling.top_k = {k}: a position has only {candidates} candidates (sampling.negatives)"
            );
        }
        Ok(self)
    }
}

fn fill<T>(key: &str, read: bool, value: &mut Option<T>, default: T) -> Result<()> {
    if read {
        value.get_or_insert(default);
    } else if value.is_some() {
        misuse!("sampling.{key} is only read with sampling.samples = \"positions\": remove it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRON: &str = "samples = \"positions\"\ntop_k = 100\n[[negatives]]\nfrom = \"uniform\"\ncount = 16384\nper = \"batch\"\n[[negatives]]\nfrom = \"in-batch\"\ncount = 127\nper = \"session\"\n";

    fn parse(text: &str) -> Result<SamplingConfig> {
        toml::from_str::<SamplingConfig>(text)?.checked()
    }

    #[test]
    fn a_mixture_of_sources_adds_up() {
        let tron = parse(TRON).unwrap();
        assert_eq!((tron.candidates(), tron.top_k), (16511, Some(100)));
        assert_eq!((tron.reject, tron.order), (Some(Reject::Session), Some(Order::Shuffled)));
        assert_eq!(parse("").unwrap(), SamplingConfig::default());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let source = |text: &str| format!("samples = \"positions\"\n[[negatives]]\n{text}");
        for (text, word) in [
            ("top_k = 5".into(), "sampling.samples"),
            ("order = \"given\"".into(), "sampling.samples"),
            ("samples = \"positions\"".into(), "[[sampling.negatives]]"),
            (source("from = \"in-batch\"\ncount = 9\nper = \"batch\""), "per = \"session\""),
            (source("from = \"uniform\"\ncount = 9\nper = \"batch\"\npower = 1.0"), "power"),
            (source("from = \"uniform\"\ncount = 0\nper = \"batch\""), "count"),
            (TRON.replace("top_k = 100", "top_k = 16512"), "top_k"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
