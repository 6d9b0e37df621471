//! PSL, BSL and SL@K: hand-computed cases, and what ties them to the softmax loss and CROLoss.

use tch::{Kind, Tensor};

use super::tests::{CATALOGUE, assert_all_close, by_tensors, close, differences, scores};
use super::*;
use crate::config::{Estimator, Kernel, KernelShape, LogQ};

const ALPHA_ONE: Weighting = Weighting { alpha: 1.0, estimator: Estimator::ScaledRank };
const PSL: [Kernel; 3] = [Kernel::PslTanh, Kernel::PslAtan, Kernel::PslRelu];

fn cro(kernel: Kernel, width: f64) -> Cro {
    let shape = KernelShape { width, ..Default::default() };
    Cro { kernel, shape, weighting: ALPHA_ONE }
}

/// PSL as its paper writes it, of one row of cosines: the log of the mean of φ.
fn psl(kernel: Kernel, cosines: (f64, &[f64]), tau: f64, tau_star: f64) -> f64 {
    let phi = |difference: f64| {
        let x = difference / tau;
        let activated = match kernel {
            Kernel::PslTanh => x.tanh() + 1.0,
            Kernel::PslAtan => x.atan() + 1.0,
            _ => (x + 1.0).max(0.0),
        };
        activated.powf(1.0 / tau_star)
    };
    let (positive, negative) = cosines;
    let sum: f64 = negative.iter().map(|cosine| phi(cosine - positive)).sum();
    (sum / negative.len() as f64).ln()
}

/// With γ = 1/(τ·τ*) and the width 1/τ*, e^CRO = 1 + M·e^PSL.
#[test]
fn cro_at_alpha_one_is_psl_but_for_the_one_in_the_logarithm() {
    let (tau, tau_star) = (2.0, 0.1);
    let (positive, negative) = (0.3, [0.9, -0.2, 0.25, 0.6, -0.95]);
    let gamma = 1.0 / (tau * tau_star);
    for kernel in PSL {
        let scaled = vec![negative.map(|cosine| gamma * cosine).to_vec()];
        let cro = cro(kernel, 1.0 / tau_star);
        let own = by_tensors(&cro, &[gamma * positive], &scaled, Kind::Double).0;
        let paper = psl(kernel, (positive, &negative), tau, tau_star);
        assert!(close(own.exp(), 1.0 + 5.0 * paper.exp(), 1e-12), "{kernel:?}");
    }
}

#[test]
fn wide_psl_kernels_are_the_exponential_and_a_narrow_one_is_a_hinge() {
    let (positive, negative) = scores(31);
    let by = |loss: &dyn Loss| by_tensors(loss, &positive, &negative, Kind::Double);
    let softmax = by(&CrossEntropy { log_q: LogQ::None });
    for kernel in PSL {
        let wide = by(&cro(kernel, 1e7));
        assert!(close(wide.0, softmax.0, 1e-5), "{kernel:?}");
        assert_all_close(&wide.1, &softmax.1, 1e-5, "positive");
        assert_all_close(&wide.2, &softmax.2, 1e-5, "negative");
        let usual = by(&cro(kernel, 20.0));
        assert!(!close(usual.0, softmax.0, 1e-3), "{kernel:?} is a kernel of its own");
    }
    let shape = KernelShape { margin: 1.0, ..Default::default() };
    let hinge = by(&Cro { kernel: Kernel::Hinge, shape, weighting: ALPHA_ONE });
    let narrow = by(&cro(Kernel::PslRelu, 1.0));
    assert!(close(narrow.0, hinge.0, 1e-12));
    assert_all_close(&narrow.2, &hinge.2, 1e-12, "negative");
}

/// φ and its slope at −∞, below where the base of a power ends, at 0 and far above.
#[test]
fn psl_kernels_are_right_at_their_ends() {
    let shape = KernelShape { width: 2.0, ..Default::default() };
    let at = |kernel: Kernel| {
        let gaps = Tensor::from_slice(&[f64::NEG_INFINITY, -4.0, 0.0, 2.0]).set_requires_grad(true);
        let value = kernel.apply(&gaps, shape);
        value.sum(None::<Kind>).backward();
        [value, gaps.grad()].map(|t| Vec::<f64>::try_from(t.detach()).unwrap())
    };
    for kernel in PSL {
        let [value, slope] = at(kernel);
        assert_eq!((value[0], slope[0]), (0.0, 0.0), "{kernel:?}");
        assert!(close(value[2], 1.0, 1e-12) && close(slope[2], 1.0, 1e-12), "{kernel:?}");
    }
    // (1 + tanh −2)² and (1 + tanh 1)²; atan −2 is below −1; (1 + π/4)²; (1 + 1)².
    let tanh = |x: f64| (1.0 + x.tanh()).powi(2);
    let [value, _] = at(Kernel::PslTanh);
    assert!(close(value[1], tanh(-2.0), 1e-12) && close(value[3], tanh(1.0), 1e-12));
    let [value, slope] = at(Kernel::PslAtan);
    let quarter = 1.0 + std::f64::consts::FRAC_PI_4;
    assert!(value[1] == 0.0 && slope[1] == 0.0 && close(value[3], quarter * quarter, 1e-12));
    // 2·(1 + π/4)·½·½
    assert!(close(slope[3], quarter / 2.0, 1e-12));
    let [value, slope] = at(Kernel::PslRelu);
    assert!(value[1] == 0.0 && slope[1] == 0.0);
    assert!(close(value[3], 4.0, 1e-12) && close(slope[3], 2.0, 1e-12));
}

#[test]
fn bsl_with_one_temperature_is_the_softmax_loss_over_the_negatives() {
    let (positive, negative) = scores(32);
    let bsl = |own, rivals| {
        let loss = Bsl { positive_temperature: own, negative_temperature: rivals };
        by_tensors(&loss, &positive, &negative, Kind::Double)
    };
    let row = |p: f64, n: &[f64]| (n.iter().map(|x| x.exp()).sum::<f64>()).ln() - p;
    let rows = positive.iter().zip(&negative);
    let softmax = rows.map(|(p, n)| row(*p, n)).sum::<f64>() / positive.len() as f64;
    let one = bsl(1.0, 1.0);
    assert!(close(one.0, softmax, 1e-12));
    // τ₁ alone is a factor.
    let other = bsl(4.0, 1.0);
    let quarter: Vec<f64> = one.2.iter().map(|slope| slope / 4.0).collect();
    assert_all_close(&other.2, &quarter, 1e-12, "negative");
    // Scores 2 and {0, 0}, τ₁ = ½, τ₂ = 2: −4 + 4·ln 2.
    let loss = Bsl { positive_temperature: 0.5, negative_temperature: 2.0 };
    let value = by_tensors(&loss, &[2.0], &[vec![0.0, 0.0]], Kind::Double).0;
    assert!(close(value, 4.0 * 2f64.ln() - 4.0, 1e-12));
}

fn sl_at_k(at: f64, weight_temperature: f64) -> SlAtK {
    SlAtK { at, weight_temperature }
}

/// 4 candidates of 1,000 items: K = 500 is place 2, K = 501 place 3.
#[test]
fn sl_at_k_by_hand() {
    let (positive, negative) = (1.0f64, [3.0f64, 0.0, 2.0, -1.0]);
    let softmax = (negative.iter().map(|x| x.exp()).sum::<f64>() + positive.exp()).ln() - positive;
    let value =
        |at| by_tensors(&sl_at_k(at, 0.5), &[positive], &[negative.to_vec()], Kind::Double).0;
    // Sorted: 3, 2, 1 (the positive), 0, −1.
    for (at, beta) in [(1.0, 3.0), (250.0, 3.0), (500.0, 2.0), (501.0, 1.0), (1000.0, 0.0)] {
        let weight = 1.0 / (1.0 + (-(positive - beta) / 0.5f64).exp());
        assert!(close(value(at), weight * softmax, 1e-12), "K = {at}");
    }
    assert_eq!(
        sl_at_k(1e6, 1.0).place(
            &Scores::all(
                Tensor::from_slice(&[positive]),
                Tensor::from_slice(&negative).view([1, 4]),
                CATALOGUE,
            ),
            5
        ),
        4
    );
}

#[test]
fn sl_at_k_has_the_gradient_of_the_weighted_softmax_with_its_weights_held() {
    let (positive, negative) = scores(33);
    let loss = sl_at_k(300.0, 1.5);
    // 7 candidates of 1,000 items: place ⌈2.1⌉.
    let weight: Vec<f64> = positive
        .iter()
        .zip(&negative)
        .map(|(p, n)| {
            let mut all = [n.as_slice(), &[*p]].concat();
            all.sort_by(|a, b| b.total_cmp(a));
            1.0 / (1.0 + (-(p - all[2]) / 1.5).exp())
        })
        .collect();
    let held = |p: &[f64], n: &[Vec<f64>]| {
        let row = |at: usize| {
            let sum: f64 = n[at].iter().map(|x| x.exp()).sum();
            weight[at] * ((sum + p[at].exp()).ln() - p[at])
        };
        (0..p.len()).map(row).sum::<f64>() / p.len() as f64
    };
    let (value, gp, gn) = by_tensors(&loss, &positive, &negative, Kind::Double);
    let (dp, dn) = differences(held, &positive, &negative);
    assert!(close(value, held(&positive, &negative), 1e-12));
    assert_all_close(&gp, &dp, 2e-6, "positive");
    assert_all_close(&gn, &dn, 2e-6, "negative");
    // A weight that sees no difference is ½ everywhere.
    let flat = by_tensors(&sl_at_k(300.0, 1e12), &positive, &negative, Kind::Double);
    let softmax =
        by_tensors(&CrossEntropy { log_q: LogQ::None }, &positive, &negative, Kind::Double);
    assert!(close(2.0 * flat.0, softmax.0, 1e-10));
    let doubled: Vec<f64> = flat.2.iter().map(|slope| 2.0 * slope).collect();
    assert_all_close(&doubled, &softmax.2, 1e-10, "negative");
}

#[test]
fn sl_at_k_leaves_out_what_does_not_count() {
    let nobody = vec![vec![f64::NEG_INFINITY; 3]];
    let (value, gp, gn) = by_tensors(&sl_at_k(20.0, 1.0), &[1.0], &nobody, Kind::Double);
    assert_eq!((value, gp[0]), (0.0, 0.0));
    assert!(gn.iter().all(|slope| *slope == 0.0));
    let masked = vec![vec![0.5, f64::NEG_INFINITY, 2.0]];
    let counted = vec![vec![0.5, 2.0]];
    let of = |n: &[Vec<f64>]| by_tensors(&sl_at_k(20.0, 1.0), &[1.0], n, Kind::Double);
    assert!(close(of(&masked).0, of(&counted).0, 1e-12));
}
