//! The mean-pool loops against the composition of tensor ops: loss and every gradient.

use std::sync::Arc;

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::{ITEMS, of_table};
use crate::batch::{Assembly, Batch, Candidates, Samples};
use crate::config::{Config, Reject, Settings};
use crate::model::{Model, Queries};
use crate::profile::Profile;
use crate::random::{Purpose, stream};
use crate::step::{HostStep, Plan, Step, StepPath, TensorStep};

/// Every loss that has loops over rows.
pub(super) fn losses() -> Vec<String> {
    let mut all: Vec<String> =
        ["cross-entropy", "triplet", "bpr"].map(|kind| format!("kind = \"{kind}\"")).into();
    all.push("kind = \"bsl\"\npositive_temperature = 0.5\nnegative_temperature = 2.0".into());
    // Of a small width scores of the large scale reach every part of these kernels.
    for kernel in ["psl-tanh", "psl-atan", "psl-relu"] {
        for width in ["1.0", "4.0", "20.0", "90.0"] {
            let common = format!("kernel = \"{kernel}\"\nwidth = {width}");
            all.push(format!("kind = \"cro\"\nalpha = 0.6\n{common}"));
            all.push(format!("kind = \"cro-lambda\"\nrank_kernel = \"{kernel}\"\n{common}"));
            all.push(format!("kind = \"cro-lambda\"\n{common}"));
        }
    }
    for kernel in ["sigmoid", "hinge", "exponential", "softplus"] {
        for estimator in ["scaled-rank", "scaled-sum"] {
            for alpha in ["0.0", "0.6", "1.0", "1.4"] {
                let common =
                    format!("kernel = \"{kernel}\"\nestimator = \"{estimator}\"\nalpha = {alpha}");
                all.push(format!("kind = \"cro\"\n{common}"));
                for rank in ["unit-step", "sigmoid", "hinge", "exponential", "softplus"] {
                    all.push(format!("kind = \"cro-lambda\"\nrank_kernel = \"{rank}\"\n{common}"));
                }
            }
        }
    }
    all
}

/// A batch with an empty history, histories of other lengths, repeats and accidental hits.
fn batch(users: usize, length: usize, negatives: usize, items: i64, reject: Reject) -> Batch {
    let mut rng = stream(users as u64, Purpose::Batch, 0);
    let mut starts = vec![0u32, 0];
    for _ in 1..users {
        starts.push(starts[starts.len() - 1] + rng.random_range(0..=length as u32));
    }
    let mut draw = |n: usize| (0..n).map(|_| rng.random_range(1..=items)).collect::<Vec<i64>>();
    let read = draw(starts[users] as usize);
    let samples = Samples { items: read, starts, queries: Queries::Last, targets: draw(users) };
    let candidates = Candidates { shared: draw(negatives), ..Default::default() };
    let (device, repeats) = (Device::Cpu, false);
    let assembly = Assembly { device, chunks: 1, host: true, tied: true, reject, repeats };
    Batch::new(samples, candidates, assembly)
}

pub(super) fn close(name: &str, a: &Tensor, b: &Tensor) {
    let [a, b] = [a, b].map(|t| t.detach().to_kind(Kind::Double));
    let largest = b.abs().max().double_value(&[]);
    let wrong = (&a - &b).abs().max().double_value(&[]);
    assert!(wrong <= 2e-5 * largest + 1e-9, "{name}: {wrong:e} of {largest:e}");
}

fn compare(loss: &str, scale: f64, dim: i64, batch: &Batch, reject: Reject) {
    let text = format!("[data]\npath = \"\"\n[loss]\n{loss}");
    let mut config: Config = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
    (config.tower.dim, config.tower.scale, config.sampling.reject) = (dim, scale, reject);
    let model = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
    let mut fused = HostStep::mean_pool(&config);
    // Twice: the second run finds the first one's matrices.
    let _ = fused.gradients(&model, &model.items, batch, 0, &mut Profile::default());
    let got = fused.gradients(&model, &model.items, batch, 0, &mut Profile::default());
    let plan = Plan { step: StepPath::TensorOps, ..Plan::of(&config, Device::Cpu) };
    let expected = TensorStep::new(&config, &plan, None).gradients(
        &model,
        &model.items,
        batch,
        0,
        &mut Profile::default(),
    );
    let what = format!("{loss} γ = {scale}, dim = {dim}").replace('\n', " ");
    close(&format!("{what}: loss"), &got.loss, &expected.loss);
    close(&format!("{what}: kernel"), &got.parameters[0], &expected.parameters[0]);
    close(&format!("{what}: bias"), &got.parameters[1], &expected.parameters[1]);
    let [own, expected] = [&got, &expected].map(|gradients| of_table(&gradients.tables[0]));
    close(&format!("{what}: rows"), &own, &expected);
    assert!(Arc::ptr_eq(&got.tables[0].rows, &batch.rows[0]));
}

#[test]
fn every_loss_and_gradient_equals_the_composition() {
    tch::set_num_threads(1);
    let batch = batch(19, 5, 45, 60, Reject::Label);
    assert!(!batch.hits.is_empty());
    for loss in losses() {
        for scale in [10.0, 100.0] {
            compare(&loss, scale, 32, &batch, Reject::Label);
        }
    }
}

#[test]
fn sizes_that_fill_no_register_and_no_group_work_alike() {
    tch::set_num_threads(1);
    for (users, length, negatives, dim) in [(1, 1, 1, 3), (130, 3, 7, 20), (300, 2, 260, 48)] {
        for reject in [Reject::Label, Reject::None] {
            let batch = batch(users, length, negatives, 60, reject);
            for loss in ["kind = \"cro-lambda\"", "kind = \"cross-entropy\""] {
                compare(loss, 10.0, dim, &batch, reject);
            }
        }
    }
}
