//! The `[loss]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{Estimator, Kernel, KernelShape, LogQ, LossConfig, LossKind, name_of, positive};
use crate::misuse;

/// `[loss]` as a file has it. Keys that its kind does not read are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSettings {
    pub kind: LossKind,
    /// `cro`, `cro-lambda` (default softplus).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// `cro-lambda` (default sigmoid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_kernel: Option<Kernel>,
    /// `cro`, `cro-lambda` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// `triplet`, hinge kernels (default 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// `psl-` kernels (default 20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// `cro`, `cro-lambda` (default scaled-rank).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimator: Option<Estimator>,
    /// `bpr-max` (default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f64>,
    /// `gbce` (default 0.75).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<f64>,
    /// `cross-entropy` (default none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_q: Option<LogQ>,
    /// `bsl` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_temperature: Option<f64>,
    /// `bsl` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_temperature: Option<f64>,
    /// `sl-at-k` (default 20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u32>,
    /// `sl-at-k` (default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_temperature: Option<f64>,
}

impl LossSettings {
    /// Nothing set but the kind.
    fn of(kind: LossKind) -> Self {
        Self {
            kind,
            kernel: None,
            rank_kernel: None,
            alpha: None,
            margin: None,
            width: None,
            estimator: None,
            penalty: None,
            calibration: None,
            log_q: None,
            positive_temperature: None,
            negative_temperature: None,
            at: None,
            weight_temperature: None,
        }
    }

    /// Refuses what the loss does not read, fills in the defaults of what it does.
    pub(super) fn checked(self) -> Result<LossConfig> {
        let kernel = self.kernel.unwrap_or(Kernel::Softplus);
        let usual = KernelShape::default();
        let margin = self.margin.unwrap_or(usual.margin);
        let shape = KernelShape { margin, width: self.width.unwrap_or(usual.width) };
        let alpha = self.alpha.unwrap_or(1.0);
        let estimator = self.estimator.unwrap_or(Estimator::ScaledRank);
        let loss = match self.kind {
            LossKind::Cro => LossConfig::Cro { kernel, shape, alpha, estimator },
            LossKind::CroLambda => {
                let rank_kernel = self.rank_kernel.unwrap_or(Kernel::Sigmoid);
                LossConfig::CroLambda { rank_kernel, kernel, shape, alpha, estimator }
            }
            LossKind::CrossEntropy => {
                LossConfig::CrossEntropy { log_q: self.log_q.unwrap_or(LogQ::None) }
            }
            LossKind::Triplet => LossConfig::Triplet { margin },
            LossKind::Bpr => LossConfig::Bpr,
            LossKind::Bce => LossConfig::Bce,
            LossKind::Gbce => LossConfig::Gbce { calibration: self.calibration.unwrap_or(0.75) },
            LossKind::BprMax => LossConfig::BprMax { penalty: self.penalty.unwrap_or(0.5) },
            LossKind::Bsl => LossConfig::Bsl {
                positive_temperature: self.positive_temperature.unwrap_or(1.0),
                negative_temperature: self.negative_temperature.unwrap_or(1.0),
            },
            LossKind::SlAtK => LossConfig::SlAtK {
                at: self.at.unwrap_or(20),
                weight_temperature: self.weight_temperature.unwrap_or(1.0),
            },
        };
        self.refuse_unread(&loss)?;
        self.refuse_impossible()?;
        Ok(loss)
    }

    /// Refuses a key that `loss`, made of these settings, does not hold.
    fn refuse_unread(&self, loss: &LossConfig) -> Result<()> {
        let table = |settings: &Self| Table::try_from(settings).expect("settings are a table");
        let (set, read) = (table(self), table(&Self::from(loss.clone())));
        if let Some(key) = set.keys().find(|key| !read.contains_key(*key)) {
            let kind = name_of(&self.kind);
            misuse!("loss.{key} is not read by loss.kind = {kind} with these kernels: remove it");
        }
        Ok(())
    }

    fn refuse_impossible(&self) -> Result<()> {
        if let Some(penalty) = self.penalty.filter(|p| !(p.is_finite() && *p >= 0.0)) {
            misuse!("loss.penalty = {penalty}: must be a number of at least 0");
        }
        if let Some(t) = self.calibration.filter(|t| !(0.0..=1.0).contains(t)) {
            misuse!("loss.calibration = {t}: must be from 0 to 1");
        }
        if self.kernel == Some(Kernel::UnitStep) {
            misuse!(
                "loss.kernel = \"unit-step\" has no gradient: it can only be loss.rank_kernel of kind = \"cro-lambda\""
            );
        }
        if let Some(alpha) = self.alpha.filter(|alpha| !(alpha.is_finite() && *alpha >= 0.0)) {
            misuse!("loss.alpha = {alpha}: must be a number of at least 0");
        }
        if let Some(margin) = self.margin.filter(|margin| !margin.is_finite()) {
            misuse!("loss.margin = {margin}: must be a finite number");
        }
        if let Some(width) = self.width.filter(|width| !(width.is_finite() && *width >= 1.0)) {
            misuse!("loss.width = {width}: must be a number of at least 1");
        }
        if self.at == Some(0) {
            misuse!("loss.at = 0: must be at least 1");
        }
        for (key, temperature) in [
            ("loss.positive_temperature", self.positive_temperature),
            ("loss.negative_temperature", self.negative_temperature),
            ("loss.weight_temperature", self.weight_temperature),
        ] {
            positive(key, temperature.unwrap_or(1.0))?;
        }
        Ok(())
    }
}

impl Default for LossSettings {
    fn default() -> Self {
        Self::of(LossKind::Cro)
    }
}

impl From<LossConfig> for LossSettings {
    fn from(loss: LossConfig) -> Self {
        let read = Self {
            kernel: loss.kernel(),
            rank_kernel: loss.rank_kernel(),
            alpha: loss.alpha(),
            margin: loss.margin(),
            width: loss.width(),
            estimator: loss.estimator(),
            ..Self::of(loss.kind())
        };
        match loss {
            LossConfig::CrossEntropy { log_q } => Self { log_q: Some(log_q), ..read },
            LossConfig::Gbce { calibration } => Self { calibration: Some(calibration), ..read },
            LossConfig::BprMax { penalty } => Self { penalty: Some(penalty), ..read },
            LossConfig::Bsl { positive_temperature, negative_temperature } => Self {
                positive_temperature: Some(positive_temperature),
                negative_temperature: Some(negative_temperature),
                ..read
            },
            LossConfig::SlAtK { at, weight_temperature } => {
                Self { at: Some(at), weight_temperature: Some(weight_temperature), ..read }
            }
            _ => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LossConfig> {
        toml::from_str::<LossSettings>(text)?.checked()
    }

    #[test]
    fn defaults_depend_on_the_kind() {
        assert_eq!(parse("").unwrap(), LossConfig::default());
        let lambda = parse("kind = \"cro-lambda\"").unwrap();
        assert_eq!(lambda.rank_kernel(), Some(Kernel::Sigmoid));
        assert_eq!((lambda.alpha(), lambda.margin()), (Some(1.0), None));
        assert_eq!(parse("kind = \"triplet\"").unwrap().margin(), Some(5.0));
        let rank = "kind = \"cro-lambda\"\nrank_kernel = \"hinge\"";
        assert_eq!(parse(rank).unwrap().margin(), Some(5.0));
        assert_eq!(parse("kind = \"ssm\"").unwrap(), parse("kind = \"cross-entropy\"").unwrap());
        assert_eq!(parse("kind = \"ssm\"").unwrap().log_q(), LogQ::None);
        assert_eq!(parse("kind = \"bpr-max\"").unwrap(), LossConfig::BprMax { penalty: 0.5 });
        let psl = parse("kernel = \"psl-atan\"").unwrap();
        assert_eq!((psl.width(), psl.margin()), (Some(20.0), None));
        let bsl = LossConfig::Bsl { positive_temperature: 1.0, negative_temperature: 1.0 };
        assert_eq!(parse("kind = \"bsl\"").unwrap(), bsl);
        let at_k = LossConfig::SlAtK { at: 20, weight_temperature: 1.0 };
        assert_eq!(parse("kind = \"sl@k\"").unwrap(), at_k);
        assert_eq!(parse("kind = \"gbce\"").unwrap(), LossConfig::Gbce { calibration: 0.75 });
    }

    #[test]
    fn only_what_the_kind_reads_is_written() {
        let written = |text: &str| -> Vec<String> {
            let table = toml::Table::try_from(LossSettings::from(parse(text).unwrap())).unwrap();
            table.keys().cloned().collect()
        };
        assert_eq!(written(""), ["alpha", "estimator", "kernel", "kind"]);
        let hinge = ["alpha", "estimator", "kernel", "kind", "margin"];
        assert_eq!(written("kernel = \"hinge\""), hinge);
        let psl = ["alpha", "estimator", "kernel", "kind", "width"];
        assert_eq!(written("kernel = \"psl-relu\""), psl);
        assert_eq!(written("kind = \"bpr\""), ["kind"]);
        assert_eq!(written("kind = \"ssm\""), ["kind", "log_q"]);
    }

    #[test]
    fn keys_without_a_reader_and_impossible_values_are_refused() {
        for (text, word) in [
            ("kind = \"bpr\"\nalpha = 1.0", "loss.alpha"),
            ("kind = \"cro\"\nrank_kernel = \"sigmoid\"", "loss.rank_kernel"),
            ("kind = \"cro\"\nmargin = 5.0", "loss.margin"),
            ("kind = \"cro\"\nkernel = \"unit-step\"", "no gradient"),
            ("kind = \"cro\"\nalpha = -0.5", "loss.alpha"),
            ("kind = \"cro\"\nalpha = nan", "loss.alpha"),
            ("kind = \"bce\"\npenalty = 1.0", "loss.penalty"),
            ("kind = \"gbce\"\ncalibration = 1.5", "loss.calibration"),
            ("kind = \"cro\"\nwidth = 20.0", "loss.width"),
            ("kernel = \"psl-tanh\"\nwidth = 0.5", "loss.width"),
            ("kind = \"ssm\"\npositive_temperature = 1.0", "loss.positive_temperature"),
            ("kind = \"bsl\"\nnegative_temperature = 0.0", "loss.negative_temperature"),
            ("kind = \"bsl\"\nat = 20", "loss.at"),
            ("kind = \"sl-at-k\"\nat = 0", "loss.at"),
            ("kind = \"sl-at-k\"\nweight_temperature = -1.0", "loss.weight_temperature"),
            ("kind = \"cro\"\nlog_q = \"negatives\"", "loss.log_q"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
