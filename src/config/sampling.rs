//! The `[sampling]` table: what a batch is, and where its candidates come from.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::negatives::{NegativeSettings, NegativeSource, Origin, Per};
use super::{name_of, within};
use crate::misuse;

/// Batches and their candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingConfig {
    /// What a training sample is.
    pub samples: Samples,
    /// Users or sessions a batch, all distinct.
    pub batch: usize,
    /// In what order users or sessions are taken.
    pub order: Order,
    /// The earliest position (0-based) of a sequence that can be the target of a user; not read
    /// where every position is a sample.
    pub first_position: usize,
    /// How far ahead a target is drawn from, as a share of the items before it; the next item at
    /// least.
    pub ahead: f64,
    /// Where candidates come from, one source at least; a target gets those of all of them.
    pub negatives: Vec<NegativeSource>,
    /// Which candidates are no rivals.
    pub reject: Reject,
    /// How many of a target's candidates, the best by score, are its negatives; 0: all.
    pub top_k: usize,
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

/// The order of users or sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// None: every batch draws anew out of all of them.
    Random,
    /// Passes over all of them, in a new order each.
    Shuffled,
    /// Passes in that of the data set: the order of TRON's published code, worse where the data
    /// set is sorted by time.
    Given,
}

/// Candidates that count as if they had not been drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reject {
    /// All count, the target too, as a rival with a gap of 0: as in the published codes.
    None,
    /// The target: an item is not its own rival, and the rank estimate (N/M)·Σφ stays unbiased.
    Label,
    /// The target and all other items of its session or history, the click still to come
    /// included.
    Session,
}

impl SamplingConfig {
    /// M: the candidates of a target.
    pub fn candidates(&self) -> usize {
        self.negatives.iter().map(|source| source.count).sum()
    }
}

impl Default for SamplingConfig {
    fn default() -> Self {
        let SamplingSettings { batch, .. } = SamplingSettings::default();
        Self {
            samples: Samples::Users,
            batch,
            order: Order::Random,
            first_position: FIRST_POSITION,
            ahead: 0.0,
            negatives: vec![shared_uniform(NEGATIVES_PER_POSITIVE * batch)],
            reject: Reject::Label,
            top_k: 0,
        }
    }
}

/// What users get where nothing else is said.
const NEGATIVES_PER_POSITIVE: usize = 10;
const FIRST_POSITION: usize = 4;

fn shared_uniform(count: usize) -> NegativeSource {
    NegativeSource { from: Origin::Uniform, count, per: Per::Batch }
}

/// `[sampling]` as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingSettings {
    /// Default users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    pub batch: usize,
    /// Users only, in place of `negatives`: one source, uniform, that the batch shares, of so many
    /// times `batch` candidates (default 10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives_per_positive: Option<usize>,
    /// Users only: the older name of `reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accidental_hits: Option<AccidentalHits>,
    /// Users only (default 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_position: Option<usize>,
    /// Default 0: the next item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<f64>,
    /// Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Default label for users, session for positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<Reject>,
    /// Default random for users without `train.epochs`, else shuffled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Vec<NegativeSettings>>,
}

/// The older name of what [`Reject`] says of a candidate that is the target itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccidentalHits {
    /// [`Reject::Label`]
    Mask,
    /// [`Reject::None`]
    Keep,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self {
            samples: None,
            batch: 256,
            negatives_per_positive: None,
            accidental_hits: None,
            first_position: None,
            ahead: None,
            top_k: None,
            reject: None,
            order: None,
            negatives: None,
        }
    }
}

impl SamplingSettings {
    /// Refuses what cannot work, fills in the defaults; `by_epochs`: the training's length is told
    /// in epochs.
    pub(super) fn checked(self, by_epochs: bool) -> Result<SamplingConfig> {
        within("sampling.batch", self.batch as u64, 1, 1 << 20)?;
        let samples = self.samples.unwrap_or(Samples::Users);
        if samples == Samples::Positions {
            self.refuse_what_users_read()?;
        }
        let default_order = match samples {
            Samples::Users if !by_epochs => Order::Random,
            _ => Order::Shuffled,
        };
        let first_position = self.first_position.unwrap_or(FIRST_POSITION);
        within("sampling.first_position", first_position as u64, 1, 1 << 31)?;
        let config = SamplingConfig {
            samples,
            batch: self.batch,
            order: self.order.unwrap_or(default_order),
            first_position,
            ahead: self.checked_ahead()?,
            negatives: self.checked_negatives(samples)?,
            reject: self.checked_reject(samples)?,
            top_k: self.top_k.unwrap_or(0),
        };
        let in_batch = config.negatives.iter().any(|source| source.from == Origin::InBatch);
        if in_batch && config.batch < 2 {
            misuse!(
                "sampling.batch = {}: in-batch candidates (sampling.negatives) are clicks of a batch's *other* users or sessions, so it needs at least two",
                config.batch
            );
        }
        let candidates = config.candidates();
        if config.top_k > candidates {
            misuse!(
                "sampling.top_k = {}: a target has only {candidates} candidates (sampling.negatives)",
                config.top_k
            );
        }
        Ok(config)
    }

    /// Refuses what positions do not read. The run folders of earlier versions hold the defaults of
    /// these keys: those are passed over.
    fn refuse_what_users_read(&self) -> Result<()> {
        let refuse = |key: &str, value: &str, instead: &str| -> Result<()> {
            misuse!(
                "sampling.{key} = {value} is only read with sampling.samples = \"users\": remove it{instead}"
            )
        };
        if let Some(n) = self.negatives_per_positive.filter(|&n| n != NEGATIVES_PER_POSITIVE) {
            let instead = ", and list [[sampling.negatives]]";
            refuse("negatives_per_positive", &n.to_string(), instead)?;
        }
        if let Some(first) = self.first_position.filter(|&first| first != FIRST_POSITION) {
            refuse("first_position", &first.to_string(), "")?;
        }
        if self.accidental_hits == Some(AccidentalHits::Keep) {
            refuse("accidental_hits", "\"keep\"", ", or set sampling.reject = \"none\"")?;
        }
        Ok(())
    }

    fn checked_negatives(&self, samples: Samples) -> Result<Vec<NegativeSource>> {
        let sources = self.negatives.iter().flatten();
        let sources = sources.map(NegativeSettings::checked).collect::<Result<Vec<_>>>()?;
        if samples == Samples::Positions {
            if sources.is_empty() {
                misuse!(
                    "sampling.samples = \"positions\" needs at least one [[sampling.negatives]], for example from = \"uniform\", count = 2048, per = \"batch\""
                );
            }
            return Ok(sources);
        }
        if self.negatives.is_some() {
            if let Some(times) = self.negatives_per_positive {
                misuse!(
                    "sampling.negatives_per_positive = {times} and sampling.negatives both say what is drawn: remove one of them"
                );
            }
            if sources.is_empty() {
                misuse!(
                    "sampling.negatives = []: list at least one source, or remove the key for uniform candidates"
                );
            }
            return Ok(sources);
        }
        let times = self.negatives_per_positive.unwrap_or(NEGATIVES_PER_POSITIVE);
        within("sampling.negatives_per_positive", times as u64, 1, 1 << 16)?;
        let count = times * self.batch;
        within("sampling.negatives_per_positive times sampling.batch", count as u64, 1, 1 << 24)?;
        Ok(vec![shared_uniform(count)])
    }

    fn checked_ahead(&self) -> Result<f64> {
        let ahead = self.ahead.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&ahead) {
            misuse!("sampling.ahead = {ahead}: must be from 0, the next item, to 1");
        }
        Ok(ahead)
    }

    fn checked_reject(&self, samples: Samples) -> Result<Reject> {
        if samples == Samples::Positions {
            return Ok(self.reject.unwrap_or(Reject::Session));
        }
        match (self.reject, self.accidental_hits) {
            (Some(reject), Some(hits)) => misuse!(
                "sampling.reject = {} and sampling.accidental_hits = {}, its older name: remove the latter",
                name_of(&reject),
                name_of(&hits)
            ),
            (Some(reject), None) => Ok(reject),
            (None, Some(AccidentalHits::Keep)) => Ok(Reject::None),
            (None, Some(AccidentalHits::Mask) | None) => Ok(Reject::Label),
        }
    }
}

impl From<SamplingConfig> for SamplingSettings {
    fn from(sampling: SamplingConfig) -> Self {
        let users = sampling.samples == Samples::Users;
        let sources = sampling.negatives.into_iter().map(NegativeSettings::from);
        Self {
            samples: Some(sampling.samples),
            batch: sampling.batch,
            negatives_per_positive: None,
            accidental_hits: None,
            first_position: users.then_some(sampling.first_position),
            ahead: (sampling.ahead > 0.0).then_some(sampling.ahead),
            top_k: Some(sampling.top_k),
            reject: Some(sampling.reject),
            order: Some(sampling.order),
            negatives: Some(sources.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRON: &str = "samples = \"positions\"\ntop_k = 100\n[[negatives]]\nfrom = \"uniform\"\ncount = 16384\nper = \"batch\"\n[[negatives]]\nfrom = \"in-batch\"\ncount = 127\nper = \"session\"\n";

    fn parse_for(text: &str, by_epochs: bool) -> Result<SamplingConfig> {
        toml::from_str::<SamplingSettings>(text)?.checked(by_epochs)
    }

    fn parse(text: &str) -> Result<SamplingConfig> {
        parse_for(text, false)
    }

    #[test]
    fn a_mixture_of_sources_adds_up() {
        let tron = parse(TRON).unwrap();
        assert_eq!((tron.candidates(), tron.top_k), (16511, 100));
        assert_eq!((tron.reject, tron.order), (Reject::Session, Order::Shuffled));
        let users = parse(&TRON.replace("positions", "users")).unwrap();
        assert_eq!((users.candidates(), users.top_k), (16511, 100));
        assert_eq!(users.negatives, tron.negatives);
    }

    #[test]
    fn users_share_uniform_candidates_unless_sources_are_listed() {
        let default = parse("").unwrap();
        assert_eq!(default, SamplingConfig::default());
        assert_eq!(default.negatives, [shared_uniform(2560)]);
        let other = parse("batch = 32\nnegatives_per_positive = 2").unwrap();
        assert_eq!(other.negatives, [shared_uniform(64)]);
        assert_eq!((other.reject, other.first_position), (Reject::Label, 4));
    }

    #[test]
    fn users_are_taken_in_passes_where_epochs_are_counted() {
        for (text, by_epochs, order) in [
            ("", false, Order::Random),
            ("", true, Order::Shuffled),
            ("order = \"given\"", false, Order::Given),
            ("order = \"random\"", true, Order::Random),
            (TRON, false, Order::Shuffled),
        ] {
            assert_eq!(parse_for(text, by_epochs).unwrap().order, order, "{text}");
        }
    }

    #[test]
    fn accidental_hits_are_the_older_name_of_reject() {
        for (text, reject) in [
            ("accidental_hits = \"mask\"", Reject::Label),
            ("accidental_hits = \"keep\"", Reject::None),
            ("reject = \"session\"", Reject::Session),
        ] {
            assert_eq!(parse(text).unwrap().reject, reject, "{text}");
        }
        let kept = SamplingSettings::from(parse("accidental_hits = \"keep\"").unwrap());
        assert_eq!((kept.accidental_hits, kept.reject), (None, Some(Reject::None)));
    }

    #[test]
    fn what_earlier_versions_saved_for_sessions_is_passed_over() {
        let old = "batch = 128\nnegatives_per_positive = 10\naccidental_hits = \"mask\"\nfirst_position = 4\nreject = \"session\"\norder = \"shuffled\"\n";
        let new = parse(&format!("batch = 128\n{TRON}")).unwrap();
        assert_eq!(parse(&format!("{old}{TRON}")).unwrap(), new);
        let saved = SamplingSettings::from(new);
        assert_eq!((saved.negatives_per_positive, saved.first_position), (None, None));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let source = |text: &str| format!("samples = \"positions\"\n[[negatives]]\n{text}");
        for (text, word) in [
            ("samples = \"positions\"".into(), "[[sampling.negatives]]"),
            ("negatives = []".into(), "sampling.negatives = []"),
            (source("from = \"in-batch\"\ncount = 9\nper = \"batch\""), "per = \"session\""),
            (source("from = \"uniform\"\ncount = 9\nper = \"batch\"\npower = 1.0"), "power"),
            (source("from = \"uniform\"\ncount = 0\nper = \"batch\""), "count"),
            (TRON.replace("top_k = 100", "top_k = 16512"), "top_k"),
            ("top_k = 2561".into(), "2560 candidates"),
            (
                format!("negatives_per_positive = 10\n{}", TRON.replace("positions", "users")),
                "both say what is drawn",
            ),
            (format!("negatives_per_positive = 5\n{TRON}"), "negatives_per_positive = 5"),
            (format!("first_position = 2\n{TRON}"), "first_position = 2"),
            (format!("accidental_hits = \"keep\"\n{TRON}"), "reject = \"none\""),
            (
                "accidental_hits = \"mask\"\nreject = \"label\"".into(),
                "sampling.reject = \"label\" and sampling.accidental_hits = \"mask\"",
            ),
            ("batch = 1048576\nnegatives_per_positive = 17".into(), "times sampling.batch"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
