//! The names of comparison kernels, and what they read.

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
    /// (1 + tanh(d/w))^w, w the width; an activation of PSL, as are the next two.
    PslTanh,
    /// max(0, 1 + atan(d/w))^w
    PslAtan,
    /// max(0, 1 + d/w)^w
    PslRelu,
}

/// What the shape of some kernels depends on, in units of the scaled score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelShape {
    /// The hinge's.
    pub margin: f64,
    /// The `psl-` kernels': gaps much smaller than it count as in the exponential kernel.
    pub width: f64,
}

impl Default for KernelShape {
    fn default() -> Self {
        Self { margin: 5.0, width: 20.0 }
    }
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
            Self::PslTanh => "psl-tanh",
            Self::PslAtan => "psl-atan",
            Self::PslRelu => "psl-relu",
        }
    }

    /// Whether it reads [`KernelShape::width`].
    pub fn has_width(self) -> bool {
        matches!(self, Self::PslTanh | Self::PslAtan | Self::PslRelu)
    }

    /// The number of `shape` that it reads, if any.
    pub fn parameter(self, shape: KernelShape) -> f64 {
        if self.has_width() { shape.width } else { shape.margin }
    }
}
