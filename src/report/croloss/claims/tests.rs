//! The answers to the claims, from runs of a few users.

use std::path::Path;

use super::*;
use crate::report::croloss::published::Published;
use crate::report::shared::fixtures::{point, save_ranks};
use crate::sweep::PointResult;

/// A run of at least 20 users with one target each: of (users, rank) in `found`, so many find it
/// there; who is left finds it nowhere.
fn run(
    folder: &Path,
    loss: &str,
    seed: u64,
    found: &[(usize, u64)],
    recalls: [f64; 2],
) -> PointResult {
    let test = [("recall@50", recalls[0]), ("recall@500", recalls[1])];
    let mut point = point(loss, seed, &test);
    let mut ranks = vec![];
    for &(users, rank) in found {
        ranks.extend(vec![rank; users]);
    }
    ranks.resize(ranks.len().max(20), 9_000);
    save_ranks(&mut point, folder, &ranks);
    point
}

fn answers(points: &[PointResult]) -> Vec<Claim> {
    let study = Study::of(points).unwrap();
    let table = Table2::of(&study, &Published::default());
    claims(&study, &table, &UserRecalls::new(&study))
}

fn cross_entropy_against_bpr(found: [[usize; 2]; 2]) -> Claim {
    let dir = tempfile::tempdir().unwrap();
    let mut points = vec![];
    for (kind, found) in ["cross-entropy", "bpr"].iter().zip(found) {
        for (seed, found) in found.into_iter().enumerate() {
            let loss = format!("kind = \"{kind}\"");
            points.push(run(dir.path(), &loss, seed as u64, &[(found, 10)], [0.5, 0.5]));
        }
    }
    answers(&points).swap_remove(1)
}

#[test]
fn a_better_row_holds_a_worse_one_does_not_and_noise_decides_nothing() {
    let clear = cross_entropy_against_bpr([[18, 17], [4, 5]]);
    assert_eq!(clear.verdict, Verdict::Holds, "{clear:?}");
    assert!(clear.numbers[1].contains("2 of 2 seeds agree"), "{clear:?}");
    assert_eq!(cross_entropy_against_bpr([[4, 5], [18, 17]]).verdict, Verdict::DoesNotHold);
    assert_eq!(cross_entropy_against_bpr([[9, 10], [9, 9]]).verdict, Verdict::NotDecided);
    // The mean is clearly above zero, but one of the seeds is below.
    let torn = cross_entropy_against_bpr([[20, 9], [4, 10]]);
    assert_eq!(torn.verdict, Verdict::NotDecided, "{torn:?}");
}

#[test]
fn nothing_is_decided_without_points() {
    assert!(answers(&[]).iter().all(|claim| claim.verdict == Verdict::NotDecided));
    let lonely = [point("kind = \"bpr\"", 1, &[("recall@50", 0.1)])];
    let all = answers(&lonely);
    assert!(
        all.iter().all(|claim| claim.verdict == Verdict::NotDecided && !claim.numbers.is_empty())
    );
}

/// α = 2 is best at N = 50 and `last` at N = 500.
fn sigmoid(first: f64, last: f64) -> Claim {
    let dir = tempfile::tempdir().unwrap();
    let alpha = |alpha: f64| format!("kind = \"cro\"\nkernel = \"sigmoid\"\nalpha = {alpha:?}");
    let points = [
        run(dir.path(), &alpha(first), 1, &[(10, 5)], [0.5, 0.5]),
        run(dir.path(), &alpha(1.0), 1, &[(5, 5), (9, 400)], [0.25, 0.7]),
        run(dir.path(), &alpha(last), 1, &[(0, 5), (19, 400)], [0.0, 0.95]),
    ];
    answers(&points).swap_remove(4)
}

#[test]
fn the_best_alpha_falls_or_rises() {
    let falls = sigmoid(2.0, 0.0);
    assert_eq!(falls.verdict, Verdict::Holds, "{falls:?}");
    assert_eq!(falls.numbers[..2], ["best α at Recall@50: 2.0", "best α at Recall@500: 0.0"]);
    assert_eq!(sigmoid(0.0, 2.0).verdict, Verdict::DoesNotHold);
}

#[test]
fn an_alpha_that_is_missing_leaves_the_best_one_open() {
    let mut points: Vec<PointResult> = ["0.0", "1.0", "2.0", "0.5"]
        .map(|alpha| {
            let loss = format!("kind = \"cro\"\nkernel = \"sigmoid\"\nalpha = {alpha}");
            point(&loss, 1, &[("recall@50", 0.1), ("recall@500", 0.2)])
        })
        .into();
    points[3].status = crate::sweep::Status::Missing;
    let claim = answers(&points).swap_remove(4);
    assert_eq!(claim.verdict, Verdict::NotDecided);
    assert!(claim.numbers.iter().any(|n| n.contains("3 of 4 points")), "{claim:?}");
}

/// All four kernels find half of the users' targets within 50; within 500 the exponential one finds 0.6
/// of them and the others 0.8, so that it loses a quarter. BPR's two seeds are `apart` in both.
fn exponential(apart: Option<f64>) -> Claim {
    let dir = tempfile::tempdir().unwrap();
    let mut points = vec![];
    for kernel in ["sigmoid", "hinge", "exponential", "softplus"] {
        let loss = format!("kind = \"cro\"\nkernel = \"{kernel}\"\nalpha = 1.0");
        let (late, recall) = if kernel == "exponential" { (20, 0.6) } else { (60, 0.8) };
        let found = [(100, 5), (late, 400), (100 - late, 9_000)];
        points.push(run(dir.path(), &loss, 1, &found, [0.5, recall]));
    }
    for (seed, apart) in apart.into_iter().flat_map(|apart| [(1, 0.0), (2, apart)]) {
        let recalls = [0.5 + apart, 0.8 + apart];
        points.push(run(dir.path(), "kind = \"bpr\"", seed, &[(100, 5)], recalls));
    }
    answers(&points).swap_remove(5)
}

/// The users alone say −25 ± 6.8 points. Seeds that are 0.002 apart have a standard deviation of
/// 0.0014 with one degree of freedom, whose t is 12.7: they add 0.0014 · √2 · √(1/0.5² + 1/0.6²) · 12.7
/// = 6.6 points. Those that are 0.02 apart add 66.
#[test]
fn the_exponential_kernel_is_judged_with_the_noise_of_seeds() {
    for (apart, verdict, said) in [
        (None, Verdict::Holds, "; noise of seeds unknown"),
        (Some(0.002), Verdict::Holds, ", with seeds"),
        (Some(0.02), Verdict::NotDecided, ", with seeds"),
    ] {
        let claim = exponential(apart);
        let last = claim.numbers.last().unwrap();
        assert!(last.contains(": −25.00 points [") && last.ends_with(said), "{claim:?}");
        assert_eq!(claim.verdict, verdict, "{apart:?}: {claim:?}");
    }
}

#[test]
fn a_gain_is_judged_for_both_kernels() {
    let dir = tempfile::tempdir().unwrap();
    let cro = |kernel: &str| format!("kind = \"cro\"\nkernel = \"{kernel}\"\nalpha = 1.0");
    let mut points = vec![
        run(dir.path(), "kind = \"triplet\"", 1, &[(40, 5), (100, 400), (60, 9_000)], [0.2, 0.7]),
        run(dir.path(), &cro("hinge"), 1, &[(120, 5), (70, 400), (10, 9_000)], [0.6, 0.95]),
        run(dir.path(), "kind = \"bpr\"", 1, &[(40, 5), (100, 400), (60, 9_000)], [0.2, 0.7]),
    ];
    assert_eq!(answers(&points)[6].verdict, Verdict::NotDecided, "softplus is missing");
    points.push(run(
        dir.path(),
        &cro("softplus"),
        1,
        &[(120, 5), (70, 400), (10, 9_000)],
        [0.6, 0.95],
    ));
    let all = answers(&points);
    assert_eq!(all[6].verdict, Verdict::Holds, "{:?}", all[6]);
    assert_eq!(all[7].verdict, Verdict::Holds, "{:?}", all[7]);
    points.remove(3);
    points.push(run(dir.path(), &cro("softplus"), 1, &[(20, 400), (180, 9_000)], [0.0, 0.1]));
    assert_eq!(answers(&points)[6].verdict, Verdict::DoesNotHold);
}
