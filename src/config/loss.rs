//! The `[loss]` table.

use anyhow::Result;
use serde::{Deserialize, Serialize};

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

/// A comparison kernel φ: the differentiable count of "this negative is ranked above".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// 1 if the gap is above 0, else 0; has no gradient, so it can only estimate ranks.
    UnitStep,
    /// 1 / (1 + e^−d)
    Sigmoid,
    /// max(0, d + margin)
    Hinge,
    /// e^d
    Exponential,
    /// ln(1 + e^d)
    Softplus,
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

/// The loss. Keys that a `kind` does not read are refused; those it reads have defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    pub kind: LossKind,
    /// φ, the kernel that carries the gradient (`cro`, `cro-lambda`; default softplus).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// φ₁, the kernel that estimates the rank (`cro-lambda`; default sigmoid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_kernel: Option<Kernel>,
    /// α: the larger, the more the loss cares for the top of the list (`cro`, `cro-lambda`;
    /// default 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The hinge's margin, in units of the scaled score (`triplet`, hinge kernels; default 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The rank estimator (`cro`, `cro-lambda`; default scaled-rank).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimator: Option<Estimator>,
    /// What the mean square of the negatives' scores counts for (`bpr-max`; default 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f64>,
    /// t: 1 undoes what sampling does to probabilities, 0 is plain cross-entropy (`gbce`; default
    /// 0.75).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<f64>,
    /// The correction for unequal draws (`cross-entropy`; not set: none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_q: Option<LogQ>,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Cro,
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
}

impl LossConfig {
    /// Refuses what the loss does not read, fills in the defaults of what it does.
    pub(super) fn checked(mut self) -> Result<Self> {
        use LossKind::{BprMax, Cro, CroLambda, CrossEntropy, Gbce, Triplet};
        let kind = self.kind;
        let weighted = matches!(kind, Cro | CroLambda);
        fill("kernel", kind, weighted, &mut self.kernel, Kernel::Softplus)?;
        fill("rank_kernel", kind, kind == CroLambda, &mut self.rank_kernel, Kernel::Sigmoid)?;
        fill("alpha", kind, weighted, &mut self.alpha, 1.0)?;
        fill("estimator", kind, weighted, &mut self.estimator, Estimator::ScaledRank)?;
        let hinged = [self.kernel, self.rank_kernel].contains(&Some(Kernel::Hinge));
        fill("margin", kind, kind == Triplet || hinged, &mut self.margin, 5.0)?;
        fill("penalty", kind, kind == BprMax, &mut self.penalty, 0.5)?;
        fill("calibration", kind, kind == Gbce, &mut self.calibration, 0.75)?;
        if self.log_q.is_some() && kind != CrossEntropy {
            misuse!("loss.log_q is only read by loss.kind = \"cross-entropy\": remove it");
        }
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
        Ok(self)
    }
}

fn fill<T>(key: &str, kind: LossKind, read: bool, value: &mut Option<T>, default: T) -> Result<()> {
    if read {
        value.get_or_insert(default);
    } else if value.is_some() {
        let kind = serde_json::to_string(&kind)?;
        misuse!("loss.{key} is not read by loss.kind = {kind} with these kernels: remove it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LossConfig> {
        toml::from_str::<LossConfig>(text)?.checked()
    }

    #[test]
    fn defaults_depend_on_the_kind() {
        let lambda = parse("kind = \"cro-lambda\"").unwrap();
        assert_eq!(lambda.rank_kernel, Some(Kernel::Sigmoid));
        assert_eq!((lambda.alpha, lambda.margin), (Some(1.0), None));
        assert_eq!(parse("kind = \"triplet\"").unwrap().margin, Some(5.0));
        assert_eq!(parse("kind = \"ssm\"").unwrap(), parse("kind = \"cross-entropy\"").unwrap());
        assert_eq!(parse("kind = \"bpr-max\"").unwrap().penalty, Some(0.5));
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
