//! Invented points for tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::baseline::{Asked, KeptResult, Recipe};
use crate::config::{Config, EvaluationConfig, Metric, Protocol, Settings};
use crate::data::{Item, Split};
use crate::eval::{Found, Groups, Metrics};

use super::provenance::{DatasetSummary, Provenance};
use super::table::Table;
use crate::sweep::{PointResult, Status};
use crate::train::{LogIds, RunFolder, RunResult, TargetRanks};

const AT: [usize; 5] = [20, 50, 100, 200, 500];

/// A configuration from the content of `[loss]`.
pub fn config(loss: &str, seed: u64) -> Config {
    let text = format!("seed = {seed}\n[data]\npath = \"data/none\"\n[loss]\n{loss}");
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

/// A point that is done, with these metrics.
pub fn point(loss: &str, seed: u64, test: &[(&str, f64)]) -> PointResult {
    let name = format!("{}_seed={seed}", loss.replace([' ', '"'], "").replace('\n', "_"));
    let test: Vec<(Metric, f64)> = test.iter().map(|(m, v)| (m.parse().unwrap(), *v)).collect();
    let result = RunResult {
        steps: 24_000,
        best_step: 16_000,
        train_seconds: 61.5,
        seconds: 70.25,
        peak_memory_mib: 512,
        peak_gpu_memory_mib: None,
        device: "cpu".into(),
        threads: 2,
        seed,
        version: "0.1.0".into(),
        commit: "abc1234".into(),
        test_users: 4_023,
        test_unrankable: 0,
        protocol: String::new(),
        test_groups: Groups::default(),
        test_lists: BTreeMap::new(),
        test_cold: None,
        validation: test.clone(),
        test,
    };
    PointResult {
        id: name.clone(),
        case: name.trim_end_matches(&format!("_seed={seed}")).into(),
        run: format!("runs/none/{name}").into(),
        name,
        grids: vec!["table2".into()],
        config: config(loss, seed),
        status: Status::Done(Box::new(result)),
    }
}

/// The losses of the sample with their numbers of seeds: enough for every table and figure.
fn losses() -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> =
        ["cross-entropy", "triplet", "bpr"].map(|kind| (format!("kind = \"{kind}\""), 2)).into();
    for kernel in ["sigmoid", "hinge", "exponential", "softplus"] {
        for alpha in ["0.8", "1.0", "1.2"] {
            let seeds = if (kernel, alpha) == ("softplus", "1.0") { 2 } else { 1 };
            all.push((format!("kind = \"cro\"\nkernel = \"{kernel}\"\nalpha = {alpha}"), seeds));
        }
    }
    for alpha in ["0.0", "2.0"] {
        all.push((format!("kind = \"cro\"\nkernel = \"sigmoid\"\nalpha = {alpha}"), 1));
    }
    for (rank, alpha, seeds) in [
        ("sigmoid", "0.8", 1),
        ("sigmoid", "1.0", 2),
        ("sigmoid", "1.2", 1),
        ("unit-step", "1.0", 1),
    ] {
        let loss = format!("kind = \"cro-lambda\"\nrank_kernel = \"{rank}\"\nalpha = {alpha}");
        all.push((loss, seeds));
    }
    all
}

/// Points with metrics of a few users, and no run folders.
pub fn points() -> Vec<PointResult> {
    let seeds = |(loss, seeds): (String, u64)| (1..=seeds).map(move |seed| (loss.clone(), seed));
    losses().into_iter().flat_map(seeds).map(|(loss, seed)| made(&loss, seed, 100).0).collect()
}

/// The same with many users, the shape of the paper's results, run folders in `folder`, one
/// failed and one missing point.
pub fn points_with_runs(folder: &Path) -> Vec<PointResult> {
    let mut all = vec![];
    for (loss, seeds) in losses() {
        for seed in 1..=seeds {
            let (mut point, ranks) = made(&loss, seed, 6_000);
            save_user_ranks(&mut point, folder, ranks);
            save_log(&point, &curve(&point));
            all.push(point);
        }
    }
    let last = all.len() - 1;
    all[last].status = Status::Missing;
    all[14].status =
        Status::Failed("the loss is NaN at step 1,204 <lower the learning rate>".into());
    all
}

/// A run of the case `name` with these shares in validation and the rank of one target for each test
/// user; recall@50 and recall@100 on test are counted of these.
pub fn case_run(
    folder: &Path,
    name: &str,
    seed: u64,
    validation: &[(&str, f64)],
    ranks: &[u64],
) -> PointResult {
    let mut point = point("kind = \"bpr\"", seed, &[]);
    (point.name, point.case) = (format!("{name}-{seed}"), name.into());
    point.id = point.name.clone();
    // What tells cases apart.
    point.config.tower.dim = name.bytes().fold(1, |sum, byte| 31 * sum + i64::from(byte));
    save_ranks(&mut point, folder, ranks);
    let share = |at| ranks.iter().filter(|rank| **rank <= at).count() as f64 / ranks.len() as f64;
    let named = |(name, share): (&str, f64)| (name.parse().unwrap(), share);
    if let Status::Done(result) = &mut point.status {
        result.validation = validation.iter().copied().map(named).collect();
        let test = [("recall@50", share(50)), ("recall@100", share(100))];
        result.test = test.map(named).into();
    }
    point
}

/// The ranks of 40 users, of whom `found` have their target at rank 3 and the others at 900.
pub fn found(found: usize) -> Vec<u64> {
    (0..40).map(|user| if user < found { 3 } else { 900 }).collect()
}

/// Makes a run folder for `point` with the rank of one target a user.
pub fn save_ranks(point: &mut PointResult, folder: &Path, ranks: &[u64]) {
    save_user_ranks(point, folder, ranks.iter().map(|&rank| vec![rank]).collect());
}

/// Makes a run folder for `point` with the ranks of each user's targets.
pub fn save_user_ranks(point: &mut PointResult, folder: &Path, ranks: Vec<Vec<u64>>) {
    point.run = folder.join(&point.name);
    let run = RunFolder::create(&point.run, &point.config, true).unwrap();
    let names: Vec<String> = (0..ranks.len()).map(|user| format!("user {user}")).collect();
    let items = [Item { original: "an item".into(), count: 1 }];
    let targets: Vec<Vec<u32>> = ranks.iter().map(|ranks| vec![1; ranks.len()]).collect();
    let users = (0..ranks.len() as u32).collect();
    let ids = LogIds { users: &names, items: &items };
    run.write_ranks(&TargetRanks { users, ranks }, &targets, &ids).unwrap();
}

/// Puts `text` as the log into the run folder of `point`.
pub fn save_log(point: &PointResult, text: &str) {
    fs::write(RunFolder::open(&point.run).unwrap().log_path(), text).unwrap();
}

/// Targets that have these ranks.
pub fn ranked(ranks: &[u64]) -> Vec<Found> {
    ranks.iter().map(|&rank| Found { rank, target: 1, history: 1 }).collect()
}

fn made(loss: &str, seed: u64, users: u64) -> (PointResult, Vec<Vec<u64>>) {
    let mut point = point(loss, seed, &[]);
    let shares = AT.map(|at| share(&point, at));
    let ranks: Vec<Vec<u64>> = (0..users).map(|user| user_ranks(user, seed, &shares)).collect();
    let mut metrics = Metrics::new(Protocol::Holdout, &AT);
    ranks.iter().for_each(|ranks| metrics.add(ranked(ranks)));
    if let Status::Done(result) = &mut point.status {
        result.test = metrics.means();
        result.validation = result.test.clone();
        result.test_users = users as usize;
    }
    (point, ranks)
}

/// Four targets, each at the N where the recall curve `shares` reaches a number drawn for it.
fn user_ranks(user: u64, seed: u64, shares: &[f64; 5]) -> Vec<u64> {
    let mut common = ChaCha8Rng::seed_from_u64(user);
    let mut own = ChaCha8Rng::seed_from_u64(user * 7 + seed);
    let mut ranks: Vec<u64> = (0..4)
        .map(|_| {
            let draw: f64 = common.random::<f64>() * 0.98 + own.random::<f64>() * 0.02;
            let known: Vec<(f64, f64)> = std::iter::once((0.0, 0.0))
                .chain(AT.iter().zip(shares).map(|(at, share)| ((*at as f64).ln(), *share)))
                .chain([(12_000f64.ln(), 1.001)])
                .collect();
            let above = known.iter().position(|(_, share)| *share > draw).unwrap();
            let ((x0, y0), (x1, y1)) = (known[above - 1], known[above]);
            (x0 + (x1 - x0) * (draw - y0) / (y1 - y0)).exp().ceil() as u64
        })
        .collect();
    ranks.sort_unstable();
    ranks
}

/// Recall@`at` in the paper's shape: the best α falls with N, the exponential kernel with it.
fn share(point: &PointResult, at: usize) -> f64 {
    use crate::config::{Kernel, LossKind};
    let loss = &point.config.loss;
    let n = AT.iter().position(|&n| n == at).unwrap();
    let (kernel, alpha) = match loss.kind() {
        LossKind::CrossEntropy => (Kernel::Exponential, 1.0),
        LossKind::Triplet => (Kernel::Hinge, 0.0),
        LossKind::Bpr => (Kernel::Softplus, 0.0),
        _ => (loss.kernel().unwrap(), loss.alpha().unwrap()),
    };
    let best = [1.6, 1.35, 1.1, 0.85, 0.6][n];
    let kernel = match kernel {
        Kernel::Exponential => [0.97, 0.96, 0.94, 0.92, 0.9][n],
        Kernel::Hinge => 0.95,
        Kernel::Sigmoid => 0.99,
        _ => 1.0,
    };
    let lambda = if loss.kind() == LossKind::CroLambda { 1.015 } else { 1.0 };
    let base = [0.055, 0.098, 0.14, 0.19, 0.265][n];
    base * kernel * lambda * (1.0 - 0.1 * (alpha - best).powi(2))
}

/// A log that rises to the point's result.
fn curve(point: &PointResult) -> String {
    let result = point.result().unwrap();
    let last = crate::eval::value_of(&result.test, point.config.train.monitor).unwrap();
    let line = |step: u64| {
        let share = last * (1.0 - (-(step as f64) / 5_000.0).exp());
        format!(
            "{{\"part\":\"validation\",\"step\":{step},\"seconds\":{},\"recall@100\":{share}}}\n",
            step as f64 / 390.0
        )
    };
    let train = "{\"part\":\"train\",\"step\":100,\"seconds\":0.3,\"loss\":4.1}\n";
    train.to_owned() + &(1..=6).map(|n| line(n * 4_000)).collect::<String>()
}

/// What is said about the sample.
pub fn provenance() -> Provenance {
    let counts = crate::data::Counts {
        users: 40_226,
        items: 12_000,
        interactions: 353_962,
        train_users: 32_180,
        validation_users: 4_023,
        test_users: 4_023,
    };
    Provenance {
        sweep: "sample".into(),
        file: "experiments/sample.toml".into(),
        command: "croloss report experiments/sample.toml".into(),
        dataset: DatasetSummary { name: "demo".into(), generated: true, counts, baselines: vec![] },
        claims: false,
        machine: "Example CPU, 2 cores".into(),
        commit: "abc1234".into(),
        date: "2026-01-31".into(),
    }
}

/// Points of Table 2 in the size of the paper's on Amazon Books; one is missing and one failed.
pub fn books() -> Vec<PointResult> {
    let both = |a, b| [("recall@50", a), ("recall@100", b)];
    let mut points = vec![
        point("kind = \"cross-entropy\"", 1, &both(0.096, 0.130)),
        point("kind = \"cross-entropy\"", 2, &both(0.098, 0.134)),
        point("kind = \"bpr\"", 1, &both(0.0824, 0.130)),
        point("kind = \"bpr\"", 2, &[]),
        point("kind = \"cro\"", 1, &[]),
    ];
    points[3].status = Status::Missing;
    points[4].status = Status::Failed("NaN | at step 7".into());
    points
}

/// A baseline that is kept, with these metrics.
pub fn baseline(name: &str, protocol: Protocol, metrics: &[(&str, f64)]) -> KeptResult {
    let recipes = Recipe::defaults(protocol);
    let evaluation = EvaluationConfig { protocol, ..EvaluationConfig::default() };
    KeptResult {
        recipe: recipes.into_iter().find(|recipe| recipe.name() == name).unwrap(),
        asked: Asked { split: Split::Test, evaluation, latest: None },
        users: 1,
        targets: 1,
        unrankable: 0,
        fit_seconds: 0.0,
        rank_seconds: 0.0,
        groups: Groups::default(),
        lists: BTreeMap::new(),
        metrics: metrics.iter().map(|(metric, value)| (metric.parse().unwrap(), *value)).collect(),
    }
}

/// The lines of a table's Markdown that are its rows.
pub fn table_lines(table: &Table) -> String {
    table
        .markdown()
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|l| l.to_owned() + "\n")
        .collect()
}
