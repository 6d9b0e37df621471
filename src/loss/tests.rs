//! Every loss against a plain scalar implementation, and the identities between losses.

use tch::{Kind, Tensor};

use super::*;
use crate::config::LogQ;
use crate::config::{Estimator, Kernel, KernelShape};
use crate::random::{Purpose, stream};
use rand::RngExt;

pub(super) const CATALOGUE: f64 = 1000.0;
const CROSS_ENTROPY: CrossEntropy = CrossEntropy { log_q: LogQ::None };
const MARGIN: f64 = 5.0;
const WIDTH: f64 = 6.0;
const SHAPE: KernelShape = KernelShape { margin: MARGIN, width: WIDTH };
pub(super) const GRADIENT_KERNELS: [Kernel; 7] = [
    Kernel::Sigmoid,
    Kernel::Hinge,
    Kernel::Exponential,
    Kernel::Softplus,
    Kernel::PslTanh,
    Kernel::PslAtan,
    Kernel::PslRelu,
];
const ESTIMATORS: [Estimator; 2] = [Estimator::ScaledRank, Estimator::ScaledSum];
const ALPHAS: [f64; 4] = [0.0, 0.6, 1.0, 1.4];

/// Random scores `[3]` and `[3, 7]`.
pub(super) fn scores(seed: u64) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut rng = stream(seed, Purpose::Batch, 0);
    let mut draw = || rng.random_range(-4.0..4.0);
    let positive = (0..3).map(|_| draw()).collect();
    let negative = (0..3).map(|_| (0..7).map(|_| draw()).collect()).collect();
    (positive, negative)
}

/// Value and gradients (positive, negative) of a loss by autograd.
pub(super) fn by_tensors(
    loss: &dyn Loss,
    positive: &[f64],
    negative: &[Vec<f64>],
    kind: Kind,
) -> (f64, Vec<f64>, Vec<f64>) {
    let leaf = |t: Tensor| t.to_kind(kind).set_requires_grad(true);
    let p = leaf(Tensor::from_slice(positive));
    let flat: Vec<f64> = negative.concat();
    let n = leaf(Tensor::from_slice(&flat).view([positive.len() as i64, -1]));
    let value = loss.loss(&Scores::all(p.shallow_clone(), n.shallow_clone(), CATALOGUE));
    value.backward();
    let list = |t: Tensor| Vec::<f64>::try_from(t.to_kind(Kind::Double).view(-1)).unwrap();
    (value.double_value(&[]), list(p.grad()), list(n.grad()))
}

fn phi(kernel: Kernel, d: f64) -> f64 {
    match kernel {
        Kernel::UnitStep => f64::from(d > 0.0),
        Kernel::Sigmoid => 1.0 / (1.0 + (-d).exp()),
        Kernel::Hinge => (d + MARGIN).max(0.0),
        Kernel::Exponential => d.exp(),
        Kernel::Softplus => (1.0 + d.exp()).ln(),
        Kernel::PslTanh => ((d / WIDTH).tanh() + 1.0).powf(WIDTH),
        Kernel::PslAtan => ((d / WIDTH).atan() + 1.0).max(0.0).powf(WIDTH),
        Kernel::PslRelu => (d / WIDTH + 1.0).max(0.0).powf(WIDTH),
    }
}

/// The rank estimate of one row, written from the definitions: what W_α is applied to.
fn plain_rank(kernel: Kernel, estimator: Estimator, positive: f64, negative: &[f64]) -> f64 {
    let sum: f64 = negative.iter().map(|n| phi(kernel, n - positive)).sum();
    match estimator {
        Estimator::ScaledRank => 1.0 + sum,
        Estimator::ScaledSum => CATALOGUE / negative.len() as f64 * sum,
    }
}

/// ln(1+N)·W_α by powers.
fn plain_value(alpha: f64, estimator: Estimator, rank: f64, drawn: usize) -> f64 {
    let base = match estimator {
        Estimator::ScaledRank if alpha == 1.0 => rank,
        Estimator::ScaledRank => rank * CATALOGUE / drawn as f64,
        Estimator::ScaledSum => 1.0 + rank,
    };
    if alpha == 1.0 {
        return base.ln();
    }
    let e = 1.0 - alpha;
    (CATALOGUE + 1.0).ln() * (base.powf(e) - 1.0) / ((CATALOGUE + 1.0).powf(e) - 1.0)
}

/// λ as the published code writes it.
fn plain_slope(alpha: f64, estimator: Estimator, rank: f64, drawn: usize) -> f64 {
    let base = match estimator {
        Estimator::ScaledRank if alpha == 1.0 => rank,
        Estimator::ScaledRank => rank * CATALOGUE / drawn as f64,
        Estimator::ScaledSum => 1.0 + rank,
    };
    if alpha == 1.0 {
        return 1.0 / base;
    }
    let e = 1.0 - alpha;
    e * (CATALOGUE + 1.0).ln() * base.powf(-alpha) / ((CATALOGUE + 1.0).powf(e) - 1.0)
}

pub(super) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

pub(super) fn assert_all_close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!(close(*x, *y, tolerance), "{what}: element {i}: {x} and {y}");
    }
}

/// Central differences of a scalar function of (positive, negative).
pub(super) fn differences(
    f: impl Fn(&[f64], &[Vec<f64>]) -> f64,
    positive: &[f64],
    negative: &[Vec<f64>],
) -> (Vec<f64>, Vec<f64>) {
    let h = 1e-6;
    let at = |i: Option<usize>, j: Option<(usize, usize)>, by: f64| {
        let (mut p, mut n) = (positive.to_vec(), negative.to_vec());
        if let Some(i) = i {
            p[i] += by;
        }
        if let Some((row, column)) = j {
            n[row][column] += by;
        }
        f(&p, &n)
    };
    let slope = |i, j| (at(i, j, h) - at(i, j, -h)) / (2.0 * h);
    let p = (0..positive.len()).map(|i| slope(Some(i), None)).collect();
    let n = (0..negative.len())
        .flat_map(|row| (0..negative[row].len()).map(move |column| (row, column)))
        .map(|at| slope(None, Some(at)))
        .collect();
    (p, n)
}

fn mean(values: impl Iterator<Item = f64>, rows: usize) -> f64 {
    values.sum::<f64>() / rows as f64
}

#[test]
fn plain_losses_equal_the_definitions_and_their_finite_differences() {
    for kernel in GRADIENT_KERNELS {
        for alpha in ALPHAS {
            for estimator in ESTIMATORS {
                let what = format!("{kernel:?} {alpha} {estimator:?}");
                let (positive, negative) = scores(1);
                let weighting = Weighting { alpha, estimator };
                let cro = Cro { kernel, shape: SHAPE, weighting };
                let plain = |p: &[f64], n: &[Vec<f64>]| {
                    let row = |b: usize| {
                        let rank = plain_rank(kernel, estimator, p[b], &n[b]);
                        plain_value(alpha, estimator, rank, n[b].len())
                    };
                    mean((0..p.len()).map(row), p.len())
                };
                let (value, gp, gn) = by_tensors(&cro, &positive, &negative, Kind::Double);
                let (dp, dn) = differences(plain, &positive, &negative);
                assert!(close(value, plain(&positive, &negative), 1e-12), "{what}");
                assert_all_close(&gp, &dp, 2e-6, &what);
                assert_all_close(&gn, &dn, 2e-6, &what);
            }
        }
    }
}

#[test]
fn lambda_losses_equal_the_definitions_and_their_finite_differences() {
    let rank_kernels = GRADIENT_KERNELS.into_iter().chain([Kernel::UnitStep]);
    for rank_kernel in rank_kernels {
        for kernel in GRADIENT_KERNELS {
            for alpha in ALPHAS {
                for estimator in ESTIMATORS {
                    let what = format!("{rank_kernel:?} {kernel:?} {alpha} {estimator:?}");
                    let (positive, negative) = scores(2);
                    let weighting = Weighting { alpha, estimator };
                    let loss = CroLambda { rank_kernel, kernel, shape: SHAPE, weighting };
                    let lambda: Vec<f64> = (0..positive.len())
                        .map(|b| {
                            let rank =
                                plain_rank(rank_kernel, estimator, positive[b], &negative[b]);
                            plain_slope(alpha, estimator, rank, negative[b].len())
                        })
                        .collect();
                    let frozen = |p: &[f64], n: &[Vec<f64>]| {
                        let row = |b: usize| lambda[b] * plain_rank(kernel, estimator, p[b], &n[b]);
                        mean((0..p.len()).map(row), p.len())
                    };
                    let (value, gp, gn) = by_tensors(&loss, &positive, &negative, Kind::Double);
                    let (dp, dn) = differences(frozen, &positive, &negative);
                    assert!(close(value, frozen(&positive, &negative), 1e-12), "{what}");
                    assert_all_close(&gp, &dp, 2e-6, &what);
                    assert_all_close(&gn, &dn, 2e-6, &what);
                }
            }
        }
    }
}

#[test]
fn cross_entropy_is_the_exponential_kernel_at_alpha_one() {
    let (positive, negative) = scores(3);
    let weighting = Weighting { alpha: 1.0, estimator: Estimator::ScaledRank };
    let cro = Cro { kernel: Kernel::Exponential, shape: SHAPE, weighting };
    let a = by_tensors(&CROSS_ENTROPY, &positive, &negative, Kind::Double);
    let b = by_tensors(&cro, &positive, &negative, Kind::Double);
    assert!(close(a.0, b.0, 1e-12));
    assert_all_close(&a.1, &b.1, 1e-12, "positive");
    assert_all_close(&a.2, &b.2, 1e-12, "negative");
    let (dp, dn) = differences(
        |p, n| {
            let row = |b: usize| {
                let all: f64 = n[b].iter().map(|x| x.exp()).sum::<f64>() + p[b].exp();
                -(p[b].exp() / all).ln()
            };
            mean((0..p.len()).map(row), p.len())
        },
        &positive,
        &negative,
    );
    assert_all_close(&a.1, &dp, 2e-6, "positive by differences");
    assert_all_close(&a.2, &dn, 2e-6, "negative by differences");
}

#[test]
fn triplet_and_bpr_are_hinge_and_softplus_at_alpha_zero() {
    let pairs: [(Box<dyn Loss>, Kernel); 2] =
        [(Box::new(Triplet { margin: MARGIN }), Kernel::Hinge), (Box::new(Bpr), Kernel::Softplus)];
    let (positive, negative) = scores(4);
    let (rows, drawn) = (positive.len(), negative[0].len());
    for (pairwise, kernel) in pairs {
        let (value, gp, gn) = by_tensors(pairwise.as_ref(), &positive, &negative, Kind::Double);
        let row = |b: usize| {
            let sum: f64 = negative[b].iter().map(|n| phi(kernel, n - positive[b])).sum();
            sum / drawn as f64
        };
        assert!(close(value, mean((0..rows).map(row), rows), 1e-12));
        for estimator in ESTIMATORS {
            let weighting = Weighting { alpha: 0.0, estimator };
            let cro = Cro { kernel, shape: SHAPE, weighting };
            let (cro_value, cro_gp, cro_gn) = by_tensors(&cro, &positive, &negative, Kind::Double);
            let factor = (CATALOGUE + 1.0).ln();
            let constant = match estimator {
                Estimator::ScaledRank => factor * (1.0 / drawn as f64 - 1.0 / CATALOGUE),
                Estimator::ScaledSum => 0.0,
            };
            assert!(close(cro_value, factor * value + constant, 1e-12));
            let scaled = |g: &[f64]| g.iter().map(|x| x * factor).collect::<Vec<_>>();
            assert_all_close(&cro_gp, &scaled(&gp), 1e-12, "positive");
            assert_all_close(&cro_gn, &scaled(&gn), 1e-12, "negative");
        }
    }
}

#[test]
fn lambda_with_one_kernel_has_the_plain_gradient_up_to_its_constant() {
    let (positive, negative) = scores(5);
    for kernel in GRADIENT_KERNELS {
        for alpha in ALPHAS {
            for estimator in ESTIMATORS {
                let weighting = Weighting { alpha, estimator };
                let cro = Cro { kernel, shape: SHAPE, weighting };
                let lambda = CroLambda { rank_kernel: kernel, kernel, shape: SHAPE, weighting };
                let plain = by_tensors(&cro, &positive, &negative, Kind::Double);
                let by_lambda = by_tensors(&lambda, &positive, &negative, Kind::Double);
                let factor = match estimator {
                    Estimator::ScaledRank if alpha != 1.0 => CATALOGUE / negative[0].len() as f64,
                    _ => 1.0,
                };
                let scaled: Vec<f64> = by_lambda.2.iter().map(|g| g * factor).collect();
                assert_all_close(&plain.2, &scaled, 1e-11, &format!("{kernel:?} {alpha}"));
            }
        }
    }
}

#[test]
fn losses_are_continuous_in_alpha_at_one() {
    let (positive, negative) = scores(6);
    for kernel in GRADIENT_KERNELS {
        for estimator in ESTIMATORS {
            let at = |alpha| {
                let weighting = Weighting { alpha, estimator };
                let cro = Cro { kernel, shape: SHAPE, weighting };
                by_tensors(&cro, &positive, &negative, Kind::Double)
            };
            let one = at(1.0);
            let constant = match estimator {
                Estimator::ScaledRank => (CATALOGUE / negative[0].len() as f64).ln(),
                Estimator::ScaledSum => 0.0,
            };
            for alpha in [1.0 - 1e-9, 1.0 + 1e-9] {
                let near = at(alpha);
                assert!(close(near.0, one.0 + constant, 1e-6), "{kernel:?} {estimator:?}");
                assert_all_close(&near.1, &one.1, 1e-6, "positive");
                assert_all_close(&near.2, &one.2, 1e-6, "negative");
            }
        }
    }
}

#[test]
fn extreme_scores_stay_finite_in_float32() {
    for scale in [10.0, 100.0] {
        let positive = vec![scale, -scale, 0.0];
        let negative = vec![vec![scale, -scale, 0.0, scale]; 3];
        let mut losses: Vec<(String, Box<dyn Loss>)> = vec![
            ("cross-entropy".into(), Box::new(CROSS_ENTROPY)),
            ("triplet".into(), Box::new(Triplet { margin: MARGIN })),
            ("bpr".into(), Box::new(Bpr)),
        ];
        for kernel in GRADIENT_KERNELS {
            for alpha in [0.0, 0.6, 1.0, 1.4, 2.0] {
                for estimator in ESTIMATORS {
                    let weighting = Weighting { alpha, estimator };
                    let name = format!("{kernel:?} {alpha} {estimator:?}");
                    losses.push((name.clone(), Box::new(Cro { kernel, shape: SHAPE, weighting })));
                    for rank_kernel in [Kernel::UnitStep, Kernel::Exponential, Kernel::Sigmoid] {
                        let lambda = CroLambda { rank_kernel, kernel, shape: SHAPE, weighting };
                        losses.push((format!("{rank_kernel:?} {name}"), Box::new(lambda)));
                    }
                }
            }
        }
        for (name, loss) in losses {
            let (value, gp, gn) = by_tensors(loss.as_ref(), &positive, &negative, Kind::Float);
            let all = gp.iter().chain(&gn).chain([&value]);
            assert!(all.into_iter().all(|x| x.is_finite()), "{name} at γ = {scale}");
        }
    }
}

#[test]
fn softplus_is_exact_far_from_zero() {
    let gaps = Tensor::from_slice(&[-80.0f32, 0.0, 80.0]).set_requires_grad(true);
    let value = kernel::softplus(&gaps);
    value.sum(None::<Kind>).backward();
    let value = Vec::<f32>::try_from(&value).unwrap();
    let slope = Vec::<f32>::try_from(gaps.grad()).unwrap();
    let tail = (-80.0f64).exp();
    assert!((f64::from(value[0]) / tail - 1.0).abs() < 1e-5, "{value:?}");
    assert_eq!((value[1], value[2]), (2.0f32.ln(), 80.0));
    assert!((f64::from(slope[0]) / tail - 1.0).abs() < 1e-5, "{slope:?}");
    assert_eq!(&slope[1..], [0.5, 1.0]);
}

#[test]
fn a_masked_negative_counts_for_nothing() {
    let (positive, negative) = scores(7);
    let masked: Vec<Vec<f64>> =
        negative.iter().map(|row| [row.as_slice(), &[f64::NEG_INFINITY]].concat()).collect();
    for kernel in GRADIENT_KERNELS {
        let weighting = Weighting { alpha: 1.0, estimator: Estimator::ScaledRank };
        let cro = Cro { kernel, shape: SHAPE, weighting };
        let without = by_tensors(&cro, &positive, &negative, Kind::Double);
        let with = by_tensors(&cro, &positive, &masked, Kind::Double);
        assert!(close(without.0, with.0, 1e-12), "{kernel:?}");
        assert_all_close(&without.1, &with.1, 1e-12, "positive");
        assert!(with.2.iter().all(|g| g.is_finite()));
    }
    let with = by_tensors(&CROSS_ENTROPY, &positive, &masked, Kind::Double);
    let without = by_tensors(&CROSS_ENTROPY, &positive, &negative, Kind::Double);
    assert!(close(without.0, with.0, 1e-12));
    assert!(with.2.iter().all(|g| g.is_finite()));
}
