//! The loops against the composition of tensor ops: loss and every gradient.

use rand::RngExt;
use tch::{Device, Kind};

use super::*;
use crate::config::{Settings, TowerConfig};
use crate::loss;
use crate::random::{Purpose, stream};
use crate::tower::TwoTower;
use crate::train::step::scores;

fn losses() -> Vec<String> {
    let mut all: Vec<String> =
        ["cross-entropy", "triplet", "bpr"].map(|kind| format!("kind = \"{kind}\"")).into();
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

/// A batch with padding, an empty history, repeats and accidental hits.
fn batch(users: i64, length: i64, negatives: i64, items: i64) -> Batch {
    let mut rng = stream(users as u64, Purpose::Batch, 0);
    let mut draw = |n: i64, zeros: bool| -> Tensor {
        let low = i64::from(!zeros);
        let ids: Vec<i64> = (0..n).map(|_| rng.random_range(low..=items)).collect();
        Tensor::from_slice(&ids)
    };
    let histories = draw(users * length, true).view([users, length]);
    let _ = histories.get(0).zero_();
    Batch::new(&histories, &draw(users, false), &draw(negatives, false))
}

fn close(name: &str, a: &Tensor, b: &Tensor) {
    let [a, b] = [a, b].map(|t| t.detach().to_kind(Kind::Double));
    let largest = b.abs().max().double_value(&[]);
    let wrong = (&a - &b).abs().max().double_value(&[]);
    assert!(wrong <= 2e-5 * largest + 1e-9, "{name}: {wrong:e} of {largest:e}");
}

fn compare(loss: &str, scale: f64, dim: i64, mask: bool, batch: &Batch) {
    let text = format!("[data]\npath = \"\"\n[loss]\n{loss}");
    let config = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
    let tower = TowerConfig { dim, scale, ..Default::default() };
    let model = TwoTower::new(&tower, 60, 1, Device::Cpu);
    let encoder = model.encoder.as_mean_pool().unwrap();
    let mut fused = Fused::new(RowLoss::new(&config.loss), scale, mask);
    // Twice: the second run finds the first one's matrices.
    fused.run(&model.items, encoder, batch, &mut Profile::default());
    let got = fused.run(&model.items, encoder, batch, &mut Profile::default());

    let rows = model.items.gather(batch.rows.ids()).set_requires_grad(true);
    let of = scores(&model, batch, &rows, (scale, mask), None);
    let value = loss::build(&config.loss).loss(&of);
    let parameters = model.encoder.parameters();
    let gradients =
        Tensor::run_backward(&[&value], &[&parameters[0].1, &parameters[1].1, &rows], false, false);
    let what = format!("{loss} γ = {scale}, dim = {dim}").replace('\n', " ");
    close(&format!("{what}: loss"), &Tensor::from(got.loss), &value);
    close(&format!("{what}: kernel"), &got.encoder[0], &gradients[0]);
    close(&format!("{what}: bias"), &got.encoder[1], &gradients[1]);
    let sources: Vec<i64> = got.sources.iter().map(|&source| i64::from(source)).collect();
    let places = got.values.index_select(0, &Tensor::from_slice(&sources));
    // Padding gets a gradient here that nobody takes: its place is in no distinct row.
    let real = batch.rows.ids().ne(0).to_kind(Kind::Float).unsqueeze(1);
    close(&format!("{what}: rows"), &(places * real), &gradients[2]);
}

#[test]
fn every_loss_and_gradient_equals_the_composition() {
    tch::set_num_threads(1);
    let batch = batch(19, 5, 45, 60);
    assert!(!batch.hits.is_empty());
    for loss in losses() {
        for scale in [10.0, 100.0] {
            compare(&loss, scale, 32, true, &batch);
        }
    }
}

#[test]
fn sizes_that_fill_no_register_and_no_group_work_alike() {
    tch::set_num_threads(1);
    for (users, length, negatives, dim) in [(1, 1, 1, 3), (130, 3, 7, 20), (300, 2, 260, 48)] {
        let batch = batch(users, length, negatives, 60);
        for mask in [true, false] {
            for loss in ["kind = \"cro-lambda\"", "kind = \"cross-entropy\""] {
                compare(loss, 10.0, dim, mask, &batch);
            }
        }
    }
}
