//! Which of the paper's rows a configuration is.

use crate::config::{Estimator, Kernel, LossConfig, LossKind};
use crate::report::shared::study::{Study, Variant};

/// The margin of the paper's hinge kernel and triplet loss.
const MARGIN: f64 = 5.0;

/// A loss that the paper has, whatever its α.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    pub method: LossKind,
    pub kernel: Option<Kernel>,
    pub rank_kernel: Option<Kernel>,
    pub alpha: Option<f64>,
}

impl PaperRow {
    /// A method without kernels.
    pub fn plain(method: LossKind) -> Self {
        Self { method, kernel: None, rank_kernel: None, alpha: None }
    }

    /// CROLoss with a kernel and its α.
    pub fn cro(kernel: Kernel, alpha: f64) -> Self {
        let (kernel, alpha) = (Some(kernel), Some(alpha));
        Self { kernel, alpha, ..Self::plain(LossKind::Cro) }
    }

    /// The row of a loss; `None` where the estimator, the margin or a kernel is not the paper's.
    pub fn of(loss: &LossConfig) -> Option<Self> {
        let estimator = loss.estimator().is_none_or(|e| e == Estimator::ScaledRank);
        let margin = loss.margin().is_none_or(|margin| margin == MARGIN);
        let kernels = loss.width().is_none();
        (estimator && margin && kernels).then(|| Self {
            method: loss.kind(),
            kernel: loss.kernel(),
            rank_kernel: loss.rank_kernel(),
            alpha: loss.alpha(),
        })
    }

    /// The same row, with α compared as [`same_alpha`] does.
    pub fn is(&self, other: Self) -> bool {
        let alpha = match (self.alpha, other.alpha) {
            (Some(a), Some(b)) => same_alpha(a, b),
            (a, b) => a == b,
        };
        alpha && Self { alpha: None, ..*self } == Self { alpha: None, ..other }
    }

    /// As tables have it: `CROLoss-lambda (sigmoid, softplus, α = 1.0)`.
    pub fn label(&self) -> String {
        let alpha = self.alpha.map(|alpha| format!("α = {}", alpha_text(alpha)));
        let parts: Vec<String> =
            [self.rank_kernel.map(Kernel::name), self.kernel.map(Kernel::name)]
                .into_iter()
                .flatten()
                .map(String::from)
                .chain(alpha)
                .collect();
        let name = self.method.title();
        if parts.is_empty() { name.into() } else { format!("{name} ({})", parts.join(", ")) }
    }
}

/// The paper's row of a variant, if it has one.
pub fn row_of(variant: &Variant) -> Option<PaperRow> {
    PaperRow::of(&variant.config.loss)
}

/// The name of a variant's row in the paper.
pub fn row_label(variant: &Variant) -> String {
    row_of(variant).map(|row| row.label()).unwrap_or_default()
}

/// The variants with one of the paper's rows that `belongs`, and that share all keys but those of
/// the loss, see [`Study::family`].
pub fn family_of<'a, 'p>(
    study: &'a Study<'p>,
    belongs: impl Fn(PaperRow) -> bool,
) -> Vec<&'a Variant<'p>> {
    study.family(|variant| row_of(variant).is_some_and(&belongs))
}

/// Equal but for the rounding of a grid's steps.
pub fn same_alpha(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// `0.6`, `1.0`, `1.25`.
pub fn alpha_text(alpha: f64) -> String {
    format!("{:?}", (alpha * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KernelShape;

    #[test]
    fn another_margin_estimator_or_kernel_is_no_row_of_the_paper() {
        let of = |kernel, margin, estimator| LossConfig::Cro {
            kernel,
            alpha: 0.6000000001,
            shape: KernelShape { margin, ..Default::default() },
            estimator,
        };
        let hinge = |margin, estimator| of(Kernel::Hinge, margin, estimator);
        let row = PaperRow::of(&hinge(5.0, Estimator::ScaledRank)).unwrap();
        assert_eq!(row.label(), "CROLoss (hinge, α = 0.6)");
        assert!(PaperRow::of(&hinge(0.5, Estimator::ScaledRank)).is_none());
        assert!(PaperRow::of(&hinge(5.0, Estimator::ScaledSum)).is_none());
        assert!(PaperRow::of(&of(Kernel::PslTanh, 5.0, Estimator::ScaledRank)).is_none());
    }
}
