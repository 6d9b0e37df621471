//! `[evaluation]`: how ranking is measured.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::metric::{Metric, MetricKind};
use crate::misuse;

/// How ranking is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// What of a sequence is found from what.
    pub protocol: Protocol,
    /// The list lengths N of every metric.
    pub at: Vec<usize>,
    /// What happens to items of the user's own history.
    pub seen: Seen,
}

/// What of a sequence is to be found, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The last fifth of a sequence, as a set, from the first four fifths.
    Holdout,
    /// Every item of a session but its first, one by one, each from those before it.
    Positions,
}

impl Protocol {
    /// Both.
    pub const ALL: [Protocol; 2] = [Protocol::Holdout, Protocol::Positions];

    /// What is measured, in the order of result tables.
    pub fn kinds(self) -> &'static [MetricKind] {
        use MetricKind::{HitRate, LastMrr, LastRecall, Mrr, Ndcg, NdcgPublished, Recall};
        match self {
            Protocol::Holdout => &[Recall, HitRate, Ndcg, NdcgPublished, Mrr],
            Protocol::Positions => &[Recall, Mrr, LastRecall, LastMrr],
        }
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Holdout => "holdout",
            Protocol::Positions => "positions",
        }
    }
}

/// Items of the user's own history, when the catalogue is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// They are ranked like all others, as in the paper.
    Keep,
    /// They are taken out of the ranking, unless they are a target.
    Exclude,
}

impl Seen {
    /// Both.
    pub const ALL: [Seen; 2] = [Seen::Keep, Seen::Exclude];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Seen::Keep => "keep",
            Seen::Exclude => "exclude",
        }
    }
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        let at = vec![20, 50, 100, 200, 500];
        Self { protocol: Protocol::Holdout, at, seen: Seen::Keep }
    }
}

impl EvaluationConfig {
    /// Sorts the list lengths and refuses values that cannot work.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] that names the key.
    pub fn checked(mut self) -> Result<Self> {
        self.at.sort_unstable();
        self.at.dedup();
        if self.at.first().is_none_or(|&n| n == 0) {
            misuse!("evaluation.at: needs at least one list length, all above 0");
        }
        Ok(self)
    }

    /// Refuses a `monitor` that is not measured.
    pub(super) fn check_monitor(&self, monitor: Metric) -> Result<()> {
        let at = &self.at;
        if !at.contains(&monitor.at) {
            misuse!(
                "train.monitor = \"{monitor}\" is not measured: add {} to evaluation.at = {at:?}, or monitor one of these",
                monitor.at
            );
        }
        let kinds = self.protocol.kinds();
        if !kinds.contains(&monitor.kind) {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            misuse!(
                "train.monitor = \"{monitor}\" is not measured by evaluation.protocol = \"{}\", which measures {}",
                self.protocol.name(),
                names.join(", ")
            );
        }
        Ok(())
    }
}
