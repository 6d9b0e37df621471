//! The names of metrics: `recall@50`, `ndcg@20` and so on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is measured over the top N of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    /// The share of a user's targets that are in the top N.
    Recall,
    /// 1 if a target is in the top N.
    HitRate,
    /// DCG over the DCG of a list that begins with all targets (as many as N holds).
    Ndcg,
    /// DCG over the DCG of a list that begins with the targets *found*: what the published code
    /// prints as NDCG; it reads higher than [`MetricKind::Ndcg`].
    NdcgPublished,
    /// One over the rank of the first target in the top N, else 0.
    Mrr,
    /// Of sessions: [`MetricKind::Recall`] of the last item alone.
    LastRecall,
    /// Of sessions: [`MetricKind::Mrr`] of the last item alone.
    LastMrr,
}

impl MetricKind {
    /// Every kind, in the order of result tables.
    pub const ALL: [MetricKind; 7] = [
        Self::Recall,
        Self::HitRate,
        Self::Ndcg,
        Self::NdcgPublished,
        Self::Mrr,
        Self::LastRecall,
        Self::LastMrr,
    ];

    /// The name in configurations and result files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::HitRate => "hitrate",
            Self::Ndcg => "ndcg",
            Self::NdcgPublished => "ndcg_published",
            Self::Mrr => "mrr",
            Self::LastRecall => "last-recall",
            Self::LastMrr => "last-mrr",
        }
    }
}

/// A metric at one list length, written `recall@50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Metric {
    pub kind: MetricKind,
    /// N: the length of the list.
    pub at: usize,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), self.at)
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> String {
        metric.to_string()
    }
}

impl TryFrom<String> for Metric {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Metric {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('@').and_then(|(name, at)| {
            let kind = MetricKind::ALL.into_iter().find(|kind| kind.name() == name)?;
            Some(Metric { kind, at: at.parse().ok()? })
        });
        parsed.ok_or_else(|| {
            let names = MetricKind::ALL.map(MetricKind::name).join(", ");
            format!("`{text}` is not a metric: write NAME@N with a name out of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for kind in MetricKind::ALL {
            let metric = Metric { kind, at: 7 };
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        assert!("recall".parse::<Metric>().is_err());
        assert!("recal@5".parse::<Metric>().unwrap_err().contains("ndcg_published"));
    }
}
