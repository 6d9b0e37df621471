//! What losses and kernels are called in reports.

use crate::config::{Kernel, LossKind};

/// The name of a loss, as papers print it.
pub fn method_name(method: LossKind) -> &'static str {
    match method {
        LossKind::Cro => "CROLoss",
        LossKind::CroLambda => "CROLoss-lambda",
        LossKind::CrossEntropy => "Cross-entropy",
        LossKind::Triplet => "Triplet",
        LossKind::Bpr => "BPR",
        LossKind::Bce => "BCE",
        LossKind::Gbce => "gBCE",
        LossKind::BprMax => "BPR-max",
    }
}

/// The name of a kernel, as in configurations.
pub fn kernel_name(kernel: Kernel) -> &'static str {
    match kernel {
        Kernel::UnitStep => "unit-step",
        Kernel::Sigmoid => "sigmoid",
        Kernel::Hinge => "hinge",
        Kernel::Exponential => "exponential",
        Kernel::Softplus => "softplus",
    }
}
