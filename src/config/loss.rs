//! The `[loss]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Kernel, name_of};
use crate::misuse;

/// The family of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// CROLoss: the weighting W_α at the rank that a kernel estimates.
    Cro,
    /// CROLoss by the Lambda method: one kernel estimates the rank, another drives the gaps.
    CroLambda,
    /// Softmax cross-entropy of the positive among the negatives; `ssm` is another name for it.
    #[serde(alias = "ssm")]
    CrossEntropy,
    /// Σ max(0, gap + margin).
    Triplet,
    /// Σ −ln σ(−gap).
    Bpr,
    /// −ln σ(positive) − mean ln σ(−negative).
    Bce,
    /// Binary cross-entropy whose positive is calibrated for the share of the catalogue that is
    /// sampled (gSASRec).
    Gbce,
    /// −ln of the softmax-weighted mean of σ(−gap), with a penalty on the negatives' scores.
    BprMax,
}

/// How the rank in the whole catalogue is estimated from M negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// (1 + Σφ)·N/M, as the published code has it.
    ScaledRank,
    /// 1 + (N/M)·Σφ, as the paper's equation 24 has it.
    ScaledSum,
}

/// What softmax losses do about candidates that are not drawn alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogQ {
    None,
    /// A negative's score is lowered by the log of how often it is expected among the candidates,
    /// so that the sum over candidates estimates that over the catalogue.
    Negatives,
    /// Likewise, the positive left out of the sum, and an example weighted by 1 − p(positive)
    /// without a gradient.
    Corrected,
}

impl LossKind {
    /// The name that papers print.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cro => "CROLoss",
            Self::CroLambda => "CROLoss-lambda",
            Self::CrossEntropy => "Cross-entropy",
            Self::Triplet => "Triplet",
            Self::Bpr => "BPR",
            Self::Bce => "BCE",
            Self::Gbce => "gBCE",
            Self::BprMax => "BPR-max",
        }
    }
}

/// The loss, with what its kind reads.
#[derive(Clone, Debug, PartialEq)]
pub enum LossConfig {
    Cro {
        /// φ
        kernel: Kernel,
        /// The hinge's margin, in units of the scaled score; read where a kernel is the hinge.
        margin: f64,
        /// α: the larger, the more the loss cares for the top of the list.
        alpha: f64,
        estimator: Estimator,
    },
    CroLambda {
        /// φ₁, the kernel that estimates the rank.
        rank_kernel: Kernel,
        /// φ₂, the kernel that carries the gradient.
        kernel: Kernel,
        margin: f64,
        alpha: f64,
        estimator: Estimator,
    },
    CrossEntropy {
        log_q: LogQ,
    },
    Triplet {
        margin: f64,
    },
    Bpr,
    Bce,
    Gbce {
        /// t: 1 undoes what sampling does to probabilities, 0 is plain cross-entropy.
        calibration: f64,
    },
    BprMax {
        /// What the mean square of the negatives' scores counts for.
        penalty: f64,
    },
}

/// The margin of the hinge, and what stands in its place where no hinge reads it.
const MARGIN: f64 = 5.0;

impl LossConfig {
    pub fn kind(&self) -> LossKind {
        match self {
            Self::Cro { .. } => LossKind::Cro,
            Self::CroLambda { .. } => LossKind::CroLambda,
            Self::CrossEntropy { .. } => LossKind::CrossEntropy,
            Self::Triplet { .. } => LossKind::Triplet,
            Self::Bpr => LossKind::Bpr,
            Self::Bce => LossKind::Bce,
            Self::Gbce { .. } => LossKind::Gbce,
            Self::BprMax { .. } => LossKind::BprMax,
        }
    }

    /// The kernel that carries the gradient, of losses with kernels.
    pub fn kernel(&self) -> Option<Kernel> {
        match *self {
            Self::Cro { kernel, .. } | Self::CroLambda { kernel, .. } => Some(kernel),
            _ => None,
        }
    }

    /// The kernel that estimates the rank, where it is one of its own.
    pub fn rank_kernel(&self) -> Option<Kernel> {
        match *self {
            Self::CroLambda { rank_kernel, .. } => Some(rank_kernel),
            _ => None,
        }
    }

    /// The margin, where a hinge reads it.
    pub fn margin(&self) -> Option<f64> {
        match *self {
            Self::Triplet { margin } => Some(margin),
            Self::Cro { margin, .. } | Self::CroLambda { margin, .. } => {
                [self.kernel(), self.rank_kernel()].contains(&Some(Kernel::Hinge)).then_some(margin)
            }
            _ => None,
        }
    }

    /// α, of losses that weight ranks.
    pub fn alpha(&self) -> Option<f64> {
        match *self {
            Self::Cro { alpha, .. } | Self::CroLambda { alpha, .. } => Some(alpha),
            _ => None,
        }
    }

    /// The rank estimator, of losses that weight ranks.
    pub fn estimator(&self) -> Option<Estimator> {
        match *self {
            Self::Cro { estimator, .. } | Self::CroLambda { estimator, .. } => Some(estimator),
            _ => None,
        }
    }

    /// The correction for unequal draws; of losses that know none, none.
    pub fn log_q(&self) -> LogQ {
        match *self {
            Self::CrossEntropy { log_q } => log_q,
            _ => LogQ::None,
        }
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::Cro {
            kernel: Kernel::Softplus,
            margin: MARGIN,
            alpha: 1.0,
            estimator: Estimator::ScaledRank,
        }
    }
}

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
            estimator: None,
            penalty: None,
            calibration: None,
            log_q: None,
        }
    }

    /// Refuses what the loss does not read, fills in the defaults of what it does.
    pub(super) fn checked(self) -> Result<LossConfig> {
        let kernel = self.kernel.unwrap_or(Kernel::Softplus);
        let margin = self.margin.unwrap_or(MARGIN);
        let alpha = self.alpha.unwrap_or(1.0);
        let estimator = self.estimator.unwrap_or(Estimator::ScaledRank);
        let loss = match self.kind {
            LossKind::Cro => LossConfig::Cro { kernel, margin, alpha, estimator },
            LossKind::CroLambda => {
                let rank_kernel = self.rank_kernel.unwrap_or(Kernel::Sigmoid);
                LossConfig::CroLambda { rank_kernel, kernel, margin, alpha, estimator }
            }
            LossKind::CrossEntropy => {
                LossConfig::CrossEntropy { log_q: self.log_q.unwrap_or(LogQ::None) }
            }
            LossKind::Triplet => LossConfig::Triplet { margin },
            LossKind::Bpr => LossConfig::Bpr,
            LossKind::Bce => LossConfig::Bce,
            LossKind::Gbce => LossConfig::Gbce { calibration: self.calibration.unwrap_or(0.75) },
            LossKind::BprMax => LossConfig::BprMax { penalty: self.penalty.unwrap_or(0.5) },
        };
        self.refuse_unread(&loss)?;
        self.refuse_impossible()?;
        Ok(loss)
    }

    /// Refuses a key that `loss`, made of these settings, does not hold.
    fn refuse_unread(&self, loss: &LossConfig) -> Result<()> {
        let read = Self::from(loss.clone());
        for (key, unread) in [
            ("kernel", self.kernel.is_some() && read.kernel.is_none()),
            ("rank_kernel", self.rank_kernel.is_some() && read.rank_kernel.is_none()),
            ("alpha", self.alpha.is_some() && read.alpha.is_none()),
            ("margin", self.margin.is_some() && read.margin.is_none()),
            ("estimator", self.estimator.is_some() && read.estimator.is_none()),
            ("penalty", self.penalty.is_some() && read.penalty.is_none()),
            ("calibration", self.calibration.is_some() && read.calibration.is_none()),
        ] {
            if unread {
                let kind = name_of(&self.kind);
                misuse!(
                    "loss.{key} is not read by loss.kind = {kind} with these kernels: remove it"
                );
            }
        }
        if self.log_q.is_some() && read.log_q.is_none() {
            misuse!("loss.log_q is only read by loss.kind = \"cross-entropy\": remove it");
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
            estimator: loss.estimator(),
            ..Self::of(loss.kind())
        };
        match loss {
            LossConfig::CrossEntropy { log_q } => Self { log_q: Some(log_q), ..read },
            LossConfig::Gbce { calibration } => Self { calibration: Some(calibration), ..read },
            LossConfig::BprMax { penalty } => Self { penalty: Some(penalty), ..read },
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
            ("kind = \"cro\"\nlog_q = \"negatives\"", "loss.log_q"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
