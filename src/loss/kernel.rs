//! Comparison kernels φ: what a gap counts for in a rank.

use tch::{Kind, Tensor};

use crate::config::Kernel;

/// Above this gap e^d goes on as a straight line, so that values and gradients stay finite in
/// float32 for any score scale. Scores of scale γ differ by at most 2γ: with the published γ = 10
/// no gap comes here.
pub const EXPONENTIAL_KNEE: f64 = 30.0;

impl Kernel {
    /// φ(d), elementwise; 0 where d = −∞. `margin` is read by the hinge only.
    pub fn apply(self, gaps: &Tensor, margin: f64) -> Tensor {
        match self {
            Kernel::UnitStep => gaps.gt(0.0).to_kind(gaps.kind()),
            Kernel::Sigmoid => gaps.sigmoid(),
            Kernel::Hinge => (gaps + margin).relu(),
            Kernel::Exponential => exponential(gaps),
            Kernel::Softplus => softplus(gaps),
        }
    }

    /// Σ_j φ(d_j) over the negatives: `[batch, negatives]` → `[batch]`.
    pub fn sum(self, gaps: &Tensor, margin: f64) -> Tensor {
        self.apply(gaps, margin).sum_dim_intlist(1, false, None::<Kind>)
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
