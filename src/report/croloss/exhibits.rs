//! Which variants stand in which of the paper's tables and figures.

use super::paper_row::{PaperRow, family_of, row_of, same_alpha};
use super::published::Published;
use crate::config::{Kernel, LossKind};
use crate::report::shared::study::{Study, Variant, representative};

/// The kernels of CROLoss, in the order of the paper's Table 3.
pub const KERNELS: [Kernel; 4] =
    [Kernel::Sigmoid, Kernel::Hinge, Kernel::Exponential, Kernel::Softplus];

type Found<'a, 'p> = Option<&'a Variant<'p>>;

/// The rows of Table 2 (those that the sweep has), from the weakest loss to the strongest.
pub struct Table2<'a, 'p> {
    pub triplet: Found<'a, 'p>,
    pub bpr: Found<'a, 'p>,
    pub cross_entropy: Found<'a, 'p>,
    pub cro: Found<'a, 'p>,
    pub lambda: Found<'a, 'p>,
    /// Other settings of CROLoss and its Lambda method: Table 3 has them, where there is one.
    pub others: Vec<&'a Variant<'p>>,
}

impl<'a, 'p> Table2<'a, 'p> {
    /// CROLoss and its Lambda method stand there with the variant that the paper chose for this
    /// data set, else, of those with the most seeds done, with the best in validation.
    pub fn of(study: &'a Study<'p>, published: &Published) -> Self {
        let family = family_of(study, |_| true);
        let one = |method| {
            let wanted = || family.iter().copied().filter(move |v| is_method(v, method));
            let choice = published.choice(method);
            let published = wanted().find(|v| row_of(v).zip(choice).is_some_and(|(a, b)| a.is(b)));
            published.or_else(|| representative(wanted()))
        };
        let [cro, lambda] = [LossKind::Cro, LossKind::CroLambda].map(one);
        let rest = |method, chosen: Found<'a, 'p>| {
            let all = family.iter().copied().filter(move |v| is_method(v, method));
            all.filter(move |v| chosen.is_none_or(|chosen| !std::ptr::eq(*v, chosen)))
        };
        Self {
            triplet: one(LossKind::Triplet),
            bpr: one(LossKind::Bpr),
            cross_entropy: one(LossKind::CrossEntropy),
            cro,
            lambda,
            others: rest(LossKind::Cro, cro).chain(rest(LossKind::CroLambda, lambda)).collect(),
        }
    }

    /// In the order of the paper's table.
    pub fn rows(&self) -> Vec<&'a Variant<'p>> {
        let all = [self.cross_entropy, self.triplet, self.bpr, self.cro, self.lambda];
        all.into_iter().flatten().collect()
    }

    /// The pairs that the paper compares, the one it says is better first.
    pub fn pairs(&self) -> [(LossKind, LossKind, Found<'a, 'p>, Found<'a, 'p>); 4] {
        use LossKind::*;
        [
            (Cro, CrossEntropy, self.cro, self.cross_entropy),
            (CrossEntropy, Bpr, self.cross_entropy, self.bpr),
            (Bpr, Triplet, self.bpr, self.triplet),
            (CroLambda, Cro, self.lambda, self.cro),
        ]
    }
}

/// One row of Table 3.
pub struct KernelRow<'a, 'p> {
    pub label: String,
    /// `[alphas]`
    pub cells: Vec<Found<'a, 'p>>,
}

/// Table 3: kernels × α.
pub struct Table3<'a, 'p> {
    pub alphas: Vec<f64>,
    pub rows: Vec<KernelRow<'a, 'p>>,
}

impl<'a, 'p> Table3<'a, 'p> {
    /// Columns are the α that the paper has for this data set, else those that (nearly) all rows
    /// have. `None` if there are not at least two rows of two α.
    pub fn of(study: &'a Study<'p>, published: &Published) -> Option<Self> {
        let family = family_of(study, |r| r.alpha.is_some());
        let mut kinds: Vec<PaperRow> =
            KERNELS.map(|k| PaperRow { kernel: Some(k), ..PaperRow::plain(LossKind::Cro) }).into();
        for row in family.iter().filter_map(|v| row_of(v)) {
            let row = PaperRow { alpha: None, ..row };
            if row.method == LossKind::CroLambda && !kinds.contains(&row) {
                kinds.push(row);
            }
        }
        let cell = |kind, alpha| with_row(&family, PaperRow { alpha: Some(alpha), ..kind });
        let all = alphas(&family);
        let of_paper = |&alpha: &f64| published.has_alpha(3, alpha);
        // Table 4 has pairs of kernels of one α: they are no rows here.
        kinds.retain(|&kind| all.iter().filter(|&&a| cell(kind, a).is_some()).count() > 1);
        let count =
            |&alpha: &f64| kinds.iter().filter(|&&kind| cell(kind, alpha).is_some()).count();
        let most = all.iter().map(count).max()?;
        let alphas: Vec<f64> = if all.iter().filter(|a| of_paper(a)).count() > 1 {
            all.into_iter().filter(of_paper).collect()
        } else {
            all.into_iter().filter(|a| count(a) + 1 >= most.max(3)).collect()
        };
        let rows: Vec<KernelRow> = kinds
            .iter()
            .map(|&kind| KernelRow {
                label: match (kind.rank_kernel.map(Kernel::name), kind.kernel.map(Kernel::name)) {
                    (Some(rank), Some(kernel)) => format!("lambda: {rank} + {kernel}"),
                    (_, kernel) => kernel.unwrap_or_default().into(),
                },
                cells: alphas.iter().map(|&alpha| cell(kind, alpha)).collect(),
            })
            .filter(|row| row.cells.iter().flatten().count() > 0)
            .collect();
        (rows.len() > 1 && alphas.len() > 1).then_some(Self { alphas, rows })
    }
}

/// Table 4: the kernels of the Lambda method at one α.
pub struct Table4<'a, 'p> {
    pub alpha: f64,
    /// (φ₁, φ₂) and their variant.
    pub rows: Vec<(Kernel, Kernel, &'a Variant<'p>)>,
}

impl<'a, 'p> Table4<'a, 'p> {
    /// At the α with the most pairs of kernels. `None` if no α has two.
    pub fn of(study: &'a Study<'p>, published: &Published) -> Option<Self> {
        let family = family_of(study, |r| r.method == LossKind::CroLambda);
        let at = |alpha: f64| {
            let mut rows: Vec<_> = family
                .iter()
                .filter_map(|&v| {
                    let row =
                        row_of(v).filter(|r| r.alpha.is_some_and(|a| same_alpha(a, alpha)))?;
                    Some((row.rank_kernel?, row.kernel?, v))
                })
                .collect();
            rows.sort_by_key(|(rank, kernel, _)| (*rank as u8, *kernel as u8));
            rows
        };
        let preferred = |&alpha: &f64| (at(alpha).len(), published.has_alpha(4, alpha));
        let alpha = alphas(&family).into_iter().rev().max_by_key(preferred)?;
        let rows = at(alpha);
        (rows.len() > 1).then_some(Self { alpha, rows })
    }
}

/// The sigmoid kernel over α, ascending (Figure 4).
pub fn sigmoid_over_alpha<'a, 'p>(study: &'a Study<'p>) -> Vec<(f64, &'a Variant<'p>)> {
    let sigmoid = |r: PaperRow| r.method == LossKind::Cro && r.kernel == Some(Kernel::Sigmoid);
    let mut all: Vec<_> = family_of(study, sigmoid)
        .into_iter()
        .filter_map(|v| Some((row_of(v)?.alpha?, v)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// The kernels of CROLoss at one α (Figure 3): that at which the most kernels are done, of several
/// the one nearest to 1.
pub fn kernels_at_one_alpha<'a, 'p>(
    study: &'a Study<'p>,
) -> Option<(f64, Vec<(Kernel, &'a Variant<'p>)>)> {
    let family = family_of(study, |r| r.method == LossKind::Cro);
    let at = |alpha: f64| -> Vec<(Kernel, &Variant)> {
        let find = |&kernel: &Kernel| {
            let found = with_row(&family, PaperRow::cro(kernel, alpha))?;
            found.done().next()?;
            Some((kernel, found))
        };
        KERNELS.iter().filter_map(find).collect()
    };
    let nearest = |a: &f64| (at(*a).len(), -((a - 1.0).abs() * 1e6) as i64);
    let alpha = alphas(&family).into_iter().max_by_key(nearest)?;
    Some((alpha, at(alpha)))
}

/// Hinge and softplus with the variants of α = 0 and α = 1 (Figure 5). Where there is no point
/// at α = 0, the triplet loss and BPR stand for it: they are the same up to constants.
pub fn gains<'a, 'p>(study: &'a Study<'p>) -> Vec<(Kernel, &'a Variant<'p>, &'a Variant<'p>)> {
    let of = |kernel: Kernel, simple: LossKind| {
        let [zero, one] = [0.0, 1.0].map(|alpha| PaperRow::cro(kernel, alpha));
        let wanted = [zero, one, PaperRow::plain(simple)];
        let family = family_of(study, |r| wanted.iter().any(|w| w.is(r)));
        let find = |row: PaperRow| with_row(&family, row);
        Some((kernel, find(wanted[0]).or_else(|| find(wanted[2]))?, find(wanted[1])?))
    };
    [of(Kernel::Hinge, LossKind::Triplet), of(Kernel::Softplus, LossKind::Bpr)]
        .into_iter()
        .flatten()
        .collect()
}

/// The colour and mark of a row in all figures.
pub fn style_of(row: PaperRow) -> usize {
    match (row.method, row.kernel) {
        (LossKind::Cro, Some(Kernel::Sigmoid)) => 0,
        (LossKind::Cro, Some(Kernel::Hinge)) | (LossKind::Triplet, _) => 1,
        (LossKind::Cro, Some(Kernel::Exponential)) | (LossKind::CrossEntropy, _) => 2,
        (LossKind::CroLambda, _) => 4,
        (LossKind::Bpr | LossKind::BprMax, _) => 5,
        (LossKind::Cro, _) => 3,
        // Of no table of the paper.
        _ => 0,
    }
}

fn with_row<'a, 'p>(family: &[&'a Variant<'p>], row: PaperRow) -> Found<'a, 'p> {
    family.iter().copied().find(|v| row_of(v).is_some_and(|own| own.is(row)))
}

fn is_method(variant: &Variant, method: LossKind) -> bool {
    row_of(variant).is_some_and(|row| row.method == method)
}

fn alphas(family: &[&Variant]) -> Vec<f64> {
    let mut all: Vec<f64> = family.iter().filter_map(|v| row_of(v)?.alpha).collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| same_alpha(*a, *b));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures;

    #[test]
    fn the_small_sample_fills_every_exhibit() {
        let points = fixtures::points();
        let study = Study::of(&points).unwrap();
        let none = Published::default();
        assert_eq!(Table2::of(&study, &none).rows().len(), 5);
        let three = Table3::of(&study, &none).unwrap();
        assert_eq!(three.alphas, [0.8, 1.0, 1.2]);
        let labels: Vec<&str> = three.rows.iter().map(|row| row.label.as_str()).collect();
        let lambda = "lambda: sigmoid + softplus";
        assert_eq!(labels, ["sigmoid", "hinge", "exponential", "softplus", lambda]);
        assert_eq!(Table4::of(&study, &none).unwrap().rows.len(), 2);
        assert_eq!(sigmoid_over_alpha(&study).len(), 5);
        let (alpha, kernels) = kernels_at_one_alpha(&study).unwrap();
        assert_eq!((alpha, kernels.len()), (1.0, 4));
        assert_eq!(gains(&study).len(), 2);
    }
}
