//! Comparison kernels φ: what a gap counts for in a rank.

use tch::{Kind, Tensor};

use crate::config::{Kernel, KernelShape};

/// Above this gap e^d goes on as a straight line, so that values and gradients stay finite in
/// float32 for any score scale. Scores of scale γ differ by at most 2γ: with the published γ = 10
/// no gap comes here.
pub const EXPONENTIAL_KNEE: f64 = 30.0;

/// What the base of a power is taken to be at least, so that it has a logarithm.
pub const PSL_FLOOR: f64 = 1e-30;

impl Kernel {
    /// φ(d), elementwise; 0 where d = −∞.
    pub fn apply(self, gaps: &Tensor, shape: KernelShape) -> Tensor {
        let KernelShape { margin, width } = shape;
        match self {
            Kernel::UnitStep => gaps.gt(0.0).to_kind(gaps.kind()),
            Kernel::Sigmoid => gaps.sigmoid(),
            Kernel::Hinge => (gaps + margin).relu(),
            Kernel::Exponential => exponential(gaps),
            Kernel::Softplus => softplus(gaps),
            // 1 + tanh(x) = 2·σ(2x), which keeps its digits where tanh comes near −1.
            Kernel::PslTanh => {
                let log = (gaps * (2.0 / width)).log_sigmoid() + std::f64::consts::LN_2;
                exponential(&(log * width))
            }
            Kernel::PslAtan => power(&((gaps / width).atan() + 1.0), width),
            Kernel::PslRelu => power(&(gaps / width + 1.0), width),
        }
    }

    /// Σ_j φ(d_j) over the negatives: `[batch, negatives]` → `[batch]`.
    pub fn sum(self, gaps: &Tensor, shape: KernelShape) -> Tensor {
        self.apply(gaps, shape).sum_dim_intlist(1, false, None::<Kind>)
    }
}

/// ln(1 + e^d) as −ln σ(−d), which libtorch computes without overflow and, unlike its own
/// `softplus`, without a threshold above which the tail is dropped.
pub(super) fn softplus(gaps: &Tensor) -> Tensor {
    -(-gaps).log_sigmoid()
}

/// e^d below the knee k, e^k·(1 + d − k) above it: continuous with its first derivative.
fn exponential(gaps: &Tensor) -> Tensor {
    gaps.clamp_max(EXPONENTIAL_KNEE).exp() * ((gaps - EXPONENTIAL_KNEE).relu() + 1.0)
}

/// max(0, base)^power, and from the knee on a straight line as [`exponential`] has it.
fn power(base: &Tensor, power: f64) -> Tensor {
    let above = base.gt(0.0);
    exponential(&(base.clamp_min(PSL_FLOOR).log() * power)) * above
}
