//! The losses of session models against hand-computed cases, their definitions as plain sums and
//! finite differences; the log-q correction in a simulation.

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::tests::{CATALOGUE, assert_all_close, by_tensors, close, differences, scores};
use super::*;
use crate::config::LogQ;
use crate::random::{Purpose, stream};

fn softplus(x: f64) -> f64 {
    (1.0 + x.exp()).ln()
}

fn bce(p: f64, n: &[f64]) -> f64 {
    softplus(-p) + n.iter().map(|&x| softplus(x)).sum::<f64>() / n.len() as f64
}

/// t = 0.75 and 7 of 999 other items sampled.
fn gbce(p: f64, n: &[f64]) -> f64 {
    let share = 7.0 / 999.0;
    let beta = 1.0 - 0.75 * (1.0 - share);
    let negatives: f64 = n.iter().map(|&x| softplus(x)).sum();
    (beta * softplus(-p) + negatives) / (1.0 + n.len() as f64)
}

fn bpr_max(p: f64, n: &[f64]) -> f64 {
    let whole: f64 = n.iter().map(|x| x.exp()).sum();
    let weighted = |f: &dyn Fn(f64) -> f64| n.iter().map(|&x| x.exp() / whole * f(x)).sum::<f64>();
    let wins = weighted(&|x| 1.0 / (1.0 + (x - p).exp()));
    -wins.ln() + 0.5 * weighted(&|x| x * x)
}

/// τ₁ = 0.5, τ₂ = 2.
fn bsl(p: f64, n: &[f64]) -> f64 {
    let sum: f64 = n.iter().map(|x| (x / 2.0).exp()).sum();
    -((p / 0.5).exp() / sum.powf(2.0 / 0.5)).ln()
}

/// A loss and its definition for one row.
type Defined = (&'static str, Box<dyn Loss>, fn(f64, &[f64]) -> f64);

fn defined() -> [Defined; 4] {
    [
        ("bce", Box::new(Bce), bce),
        ("gbce", Box::new(Gbce { calibration: 0.75 }), gbce),
        ("bpr-max", Box::new(BprMax { penalty: 0.5 }), bpr_max),
        ("bsl", Box::new(Bsl { positive_temperature: 0.5, negative_temperature: 2.0 }), bsl),
    ]
}

#[test]
fn losses_equal_their_definitions_and_finite_differences() {
    let (positive, negative) = scores(21);
    for (name, loss, row) in defined() {
        let plain = |p: &[f64], n: &[Vec<f64>]| {
            p.iter().zip(n).map(|(p, n)| row(*p, n)).sum::<f64>() / p.len() as f64
        };
        let (value, gp, gn) = by_tensors(loss.as_ref(), &positive, &negative, Kind::Double);
        let (dp, dn) = differences(plain, &positive, &negative);
        assert!(close(value, plain(&positive, &negative), 1e-12), "{name}");
        assert_all_close(&gp, &dp, 2e-6, name);
        assert_all_close(&gn, &dn, 2e-6, name);
    }
}

#[test]
fn hand_computed_cases() {
    // All scores 0: ln 2 + ln 2; (0.252·ln 2 + ln 2) / 2 …; −ln ½.
    let value = |loss: &dyn Loss| by_tensors(loss, &[0.0], &[vec![0.0]], Kind::Double).0;
    let ln2 = 2f64.ln();
    assert!(close(value(&Bce), 2.0 * ln2, 1e-12));
    let beta = 0.25 + 0.75 / 999.0;
    assert!(close(value(&Gbce { calibration: 0.75 }), (beta + 1.0) * ln2 / 2.0, 1e-12));
    assert!(close(value(&BprMax { penalty: 0.5 }), ln2, 1e-12));
    // β: no calibration, full calibration.
    assert!(close(Gbce { calibration: 0.0 }.power(10.0, 101.0), 1.0, 1e-12));
    assert!(close(Gbce { calibration: 1.0 }.power(10.0, 101.0), 0.1, 1e-12));
}

#[test]
fn negatives_that_do_not_count_change_nothing_and_a_row_may_have_none() {
    let (positive, negative) = scores(22);
    let more = |fill: f64| -> Vec<Vec<f64>> {
        negative.iter().map(|row| [row.as_slice(), &[fill; 2]].concat()).collect()
    };
    let nobody = vec![vec![f64::NEG_INFINITY; 3]; 3];
    for (name, loss, _) in defined() {
        let by = |n: &[Vec<f64>]| by_tensors(loss.as_ref(), &positive, n, Kind::Double);
        let (without, with) = (by(&negative), by(&more(f64::NEG_INFINITY)));
        // gBCE's M counts them, as the rank estimates do.
        assert!(close(without.0, with.0, 2e-3), "{name}");
        assert!(with.2.iter().all(|g| g.is_finite()), "{name}: {:?}", with.2);
        let alone = by(&nobody);
        let all = alone.1.iter().chain(&alone.2).chain([&alone.0]);
        assert!(all.into_iter().all(|x| x.is_finite()), "{name}: {alone:?}");
    }
}

#[test]
fn the_two_forms_of_the_log_q_correction_have_one_gradient() {
    let (positive, negative) = scores(23);
    let log_counts = Tensor::linspace(-2.0, 1.0, 21, (Kind::Double, Device::Cpu)).view([3, 7]);
    let gradient = |log_q| {
        let leaf = |t: Tensor| t.set_requires_grad(true);
        let p = leaf(Tensor::from_slice(&positive));
        let n = leaf(Tensor::from_slice(&negative.concat()).view([3, 7]));
        let mut scores = Scores::all(p.shallow_clone(), n.shallow_clone(), CATALOGUE);
        scores.log_counts = Some(log_counts.shallow_clone());
        CrossEntropy { log_q }.loss(&scores).backward();
        Vec::<f64>::try_from(Tensor::cat(&[p.grad(), n.grad().view(-1)], 0)).unwrap()
    };
    let plain = gradient(LogQ::Negatives);
    assert_all_close(&plain, &gradient(LogQ::Corrected), 1e-12, "corrected");
    let largest = plain.iter().zip(gradient(LogQ::None)).map(|(a, b)| (a - b).abs());
    assert!(largest.fold(0.0, f64::max) > 1e-3, "the correction changes something");
}

/// Over many draws from a mixture of unequal sources, the corrected sum over candidates has the
/// sum over the catalogue as its mean; without the correction it is far off.
#[test]
fn the_log_q_correction_estimates_the_catalogue_s_sum_without_bias() {
    const ITEMS: usize = 20;
    let mut rng = stream(5, Purpose::Negatives, 0);
    let score = |item: usize| ((item * 7) % ITEMS) as f64 / 5.0 - 2.0;
    let true_sum: f64 = (0..ITEMS).map(|item| score(item).exp()).sum();
    // 6 uniform draws, and 4 with probabilities that fall with the item's number.
    let falling = |item: usize| (ITEMS - item) as f64 / 210.0;
    let expected = |item: usize| 6.0 / ITEMS as f64 + 4.0 * falling(item);
    let rounds = 40_000;
    let (mut corrected, mut plain) = (0.0, 0.0);
    for _ in 0..rounds {
        let mut drawn: Vec<usize> = (0..6).map(|_| rng.random_range(0..ITEMS)).collect();
        for _ in 0..4 {
            let mut left: f64 = rng.random_range(0.0..1.0);
            let mut item = 0;
            while item + 1 < ITEMS && left >= falling(item) {
                left -= falling(item);
                item += 1;
            }
            drawn.push(item);
        }
        let list = |f: &dyn Fn(usize) -> f64| {
            let values: Vec<f64> = drawn.iter().map(|&item| f(item)).collect();
            Tensor::from_slice(&values).view([1, 10])
        };
        let positive = Tensor::from_slice(&[0.0f64]);
        let mut scores = Scores::all(positive, list(&score), ITEMS as f64);
        scores.log_counts = Some(list(&|item| expected(item).ln()));
        // e^loss = 1 + the estimated sum at a positive score of 0.
        let sum = |log_q| CrossEntropy { log_q }.loss(&scores).double_value(&[]).exp() - 1.0;
        corrected += sum(LogQ::Negatives) / rounds as f64;
        plain += sum(LogQ::None) / rounds as f64;
    }
    assert!((corrected / true_sum - 1.0).abs() < 0.01, "{corrected} and {true_sum}");
    assert!((plain / true_sum - 1.0).abs() > 0.2, "{plain} and {true_sum}");
}

/// N/M with the k best of M: for the unit step exactly the estimate of all M while fewer than k
/// of them beat the positive, N·k/M from there on.
#[test]
fn top_k_keeps_the_rank_estimate_until_it_saturates() {
    let mut rng = stream(6, Purpose::Negatives, 0);
    let drawn: Vec<f64> = (0..200).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut best = drawn.clone();
    best.sort_by(|a, b| b.total_cmp(a));
    best.truncate(20);
    let weighting = Weighting { alpha: 1.0, estimator: crate::config::Estimator::ScaledSum };
    let rank = |positive: f64, negative: &[f64]| {
        let mut scores = Scores::all(
            Tensor::from_slice(&[positive]),
            Tensor::from_slice(negative).view([1, -1]),
            1000.0,
        );
        scores.drawn = 200.0;
        let step = crate::config::Kernel::UnitStep;
        weighting.rank(&step.sum(&scores.gaps(), Default::default()), &scores).double_value(&[])
    };
    for positive in [0.99, 0.9, 0.85] {
        assert_eq!(rank(positive, &best), rank(positive, &drawn), "{positive}");
    }
    assert!(rank(0.0, &drawn) > 400.0);
    assert_eq!(rank(0.0, &best), 1000.0 * 20.0 / 200.0);
}
