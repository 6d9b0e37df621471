//! The losses, each with what it reads.

use serde::{Deserialize, Serialize};

use super::{Kernel, KernelShape};

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
    /// Softmax over the negatives alone, the two sides at temperatures of their own.
    Bsl,
    /// Softmax cross-entropy, weighted by how near the positive comes to the first K.
    #[serde(alias = "sl@k")]
    SlAtK,
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
            Self::Bsl => "BSL",
            Self::SlAtK => "SL@K",
        }
    }
}

/// The loss, with what its kind reads.
#[derive(Clone, Debug, PartialEq)]
pub enum LossConfig {
    Cro {
        /// φ
        kernel: Kernel,
        shape: KernelShape,
        /// α: the larger, the more the loss cares for the top of the list.
        alpha: f64,
        estimator: Estimator,
    },
    CroLambda {
        /// φ₁, the kernel that estimates the rank.
        rank_kernel: Kernel,
        /// φ₂, the kernel that carries the gradient.
        kernel: Kernel,
        shape: KernelShape,
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
    Bsl {
        /// τ₁ and τ₂, in units of the scaled score.
        positive_temperature: f64,
        negative_temperature: f64,
    },
    SlAtK {
        /// K
        at: u32,
        /// τ_w, in units of the scaled score.
        weight_temperature: f64,
    },
}

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
            Self::Bsl { .. } => LossKind::Bsl,
            Self::SlAtK { .. } => LossKind::SlAtK,
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

    /// The shape of its kernels; the triplet loss is a hinge, too.
    pub fn shape(&self) -> KernelShape {
        match *self {
            Self::Cro { shape, .. } | Self::CroLambda { shape, .. } => shape,
            Self::Triplet { margin } => KernelShape { margin, ..Default::default() },
            _ => KernelShape::default(),
        }
    }

    /// The margin, where a hinge reads it.
    pub fn margin(&self) -> Option<f64> {
        match *self {
            Self::Triplet { margin } => Some(margin),
            _ => self.any_kernel(|k| k == Kernel::Hinge).then_some(self.shape().margin),
        }
    }

    /// The width, where a kernel reads it.
    pub fn width(&self) -> Option<f64> {
        self.any_kernel(Kernel::has_width).then_some(self.shape().width)
    }

    fn any_kernel(&self, is: fn(Kernel) -> bool) -> bool {
        [self.kernel(), self.rank_kernel()].into_iter().flatten().any(is)
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
            shape: KernelShape::default(),
            alpha: 1.0,
            estimator: Estimator::ScaledRank,
        }
    }
}
