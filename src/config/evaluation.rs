//! `[evaluation]`: how ranking is measured.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::metric::{Metric, MetricKind};
use crate::misuse;

/// How ranking is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "EvaluationSettings")]
pub struct EvaluationConfig {
    /// What of a sequence is found from what.
    pub protocol: Protocol,
    /// The list lengths N of every metric.
    pub at: Vec<usize>,
    /// What happens to items of the user's own history.
    pub seen: Seen,
}

/// The table as a file has it: what is not given follows from the protocol.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "EvaluationConfig")]
struct EvaluationSettings {
    protocol: Option<Protocol>,
    at: Option<Vec<usize>>,
    seen: Option<Seen>,
}

impl From<EvaluationSettings> for EvaluationConfig {
    fn from(settings: EvaluationSettings) -> Self {
        let usual = Self::of(settings.protocol.unwrap_or(Protocol::Holdout));
        Self {
            at: settings.at.unwrap_or(usual.at),
            seen: settings.seen.unwrap_or(usual.seen),
            protocol: usual.protocol,
        }
    }
}

/// What of a sequence is to be found, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The last fifth of a sequence, as a set, from the first four fifths.
    Holdout,
    /// Every item of a session but its first, one by one, each from those before it.
    Positions,
    /// The last item of a sequence, from all those before it.
    LeaveOneOut,
}

impl Protocol {
    /// Every protocol, in the order of help.
    pub const ALL: [Protocol; 3] = [Protocol::Holdout, Protocol::Positions, Protocol::LeaveOneOut];

    /// What is measured, in the order of result tables.
    pub fn kinds(self) -> &'static [MetricKind] {
        use MetricKind::{HitRate, LastMrr, LastRecall, Mrr, Ndcg, NdcgPublished, Recall};
        match self {
            Protocol::Holdout => &[Recall, HitRate, Ndcg, NdcgPublished, Mrr],
            Protocol::Positions => &[Recall, Ndcg, Mrr, LastRecall, LastMrr],
            Protocol::LeaveOneOut => &[Recall, Ndcg, Mrr],
        }
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Holdout => "holdout",
            Protocol::Positions => "positions",
            Protocol::LeaveOneOut => "leave-one-out",
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
        Self::of(Protocol::Holdout)
    }
}

impl EvaluationConfig {
    /// What is usual under `protocol`: lists as long as in the field's published tables, and under
    /// [`Protocol::LeaveOneOut`] nothing in them that the user has met.
    pub fn of(protocol: Protocol) -> Self {
        let (at, seen) = match protocol {
            Protocol::Holdout | Protocol::Positions => (vec![20, 50, 100, 200, 500], Seen::Keep),
            Protocol::LeaveOneOut => (vec![5, 10, 20, 50, 100], Seen::Exclude),
        };
        Self { protocol, at, seen }
    }

    /// The protocol, for whoever reads the figures without the configuration. `latest`: under
    /// [`Protocol::Positions`] so many of the last items of a session are to be found; all but the
    /// first if not given.
    pub fn in_words(&self, latest: Option<usize>) -> String {
        let cut = latest.map_or(String::new(), |latest| format!(", at most the latest {latest}"));
        let what: String = match self.protocol {
            Protocol::Holdout => {
                "the last fifth of a sequence, or its part behind a cut, a user's repeats once, \
                 from what is before it, means over users"
                    .into()
            }
            Protocol::Positions => format!(
                "every item of a session but its first{cut}, one by one, from those before it, \
                 means over positions"
            ),
            Protocol::LeaveOneOut => {
                "the last item of a sequence from all those before it, means over users, targets \
                 that no training and no history holds left out"
                    .into()
            }
        };
        let seen = match self.seen {
            Seen::Keep => "items of the history are ranked like all others",
            Seen::Exclude => {
                "items of the history are neither ranked nor to be found, who has nothing new to \
                 find counts for nothing"
            }
        };
        format!("{}: {what}; the whole catalogue is ranked, {seen}", self.protocol.name())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_follows_from_the_protocol() {
        let read = |text: &str| toml::from_str::<EvaluationConfig>(text).unwrap();
        assert_eq!(read(""), EvaluationConfig::default());
        let usual = read("protocol = \"leave-one-out\"");
        assert_eq!((usual.seen, &usual.at[..]), (Seen::Exclude, &[5, 10, 20, 50, 100][..]));
        let given = read("protocol = \"leave-one-out\"\nseen = \"keep\"\nat = [7]");
        assert_eq!((given.seen, given.at), (Seen::Keep, vec![7]));
        assert_eq!(read("seen = \"exclude\"").seen, Seen::Exclude);
        for protocol in Protocol::ALL {
            let usual = EvaluationConfig::of(protocol);
            let text = toml::to_string(&usual).unwrap();
            assert_eq!(read(&text), usual);
            assert!(usual.in_words(None).starts_with(protocol.name()));
        }
    }

    #[test]
    fn words_say_what_is_cut_and_what_is_left_out() {
        for protocol in Protocol::ALL {
            for seen in Seen::ALL {
                let config = EvaluationConfig { seen, ..EvaluationConfig::of(protocol) };
                let [whole, cut] = [None, Some(57)].map(|latest| config.in_words(latest));
                let says = |words: &str| whole.contains(words) && cut.contains(words);
                let positions = protocol == Protocol::Positions;
                assert!(!whole.contains("57"), "{whole}");
                assert_eq!(cut.contains("first, at most the latest 57, one by one"), positions);
                assert_eq!(says("no history holds left out"), protocol == Protocol::LeaveOneOut);
                assert_eq!(says("neither ranked nor to be found"), seen == Seen::Exclude);
                assert_eq!(says("ranked like all others"), seen == Seen::Keep);
            }
        }
    }
}
