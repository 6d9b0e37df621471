//! The names of comparison kernels.

use serde::{Deserialize, Serialize};

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

impl Kernel {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnitStep => "unit-step",
            Self::Sigmoid => "sigmoid",
            Self::Hinge => "hinge",
            Self::Exponential => "exponential",
            Self::Softplus => "softplus",
        }
    }
}
