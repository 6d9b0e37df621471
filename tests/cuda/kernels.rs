//! The program's own kernels come to what the tensor ops come to that define them.

use std::sync::Arc;

use croloss::config::{EpsilonForm, OptimizerConfig};
use croloss::device::{self, ComputePath};
use croloss::model::Scoring;
use croloss::optim::{Adam, DeferredAdam, RowGradient, Rule, TouchedRows};
use croloss::random::{Purpose, stream};
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::machine::{self, gpu};

#[test]
fn they_do_what_tensor_ops_do() {
    machine::inner("kernels::deferred_adam");
    machine::inner("kernels::dense_adam");
    machine::inner("kernels::unit_length");
}

/// Rows are left alone for some steps and stand several times in a list; with PyTorch's ε, elements
/// on both sides of it: some are replayed.
#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn deferred_adam() {
    const ROWS: i64 = 60;
    const DIM: i64 = 19;
    let gpu = gpu();
    for (epsilon_form, epsilon) in [
        (EpsilonForm::Tensorflow, 1e-8),
        (EpsilonForm::Pytorch, 1e-8),
        (EpsilonForm::Pytorch, 1e-4),
    ] {
        let config = OptimizerConfig { epsilon_form, epsilon, ..Default::default() };
        let rule = Rule::over(&config, 80);
        let devices = [Device::Cpu, gpu];
        let first = Tensor::arange(ROWS * DIM, (Kind::Float, Device::Cpu)).sin() * 0.1;
        let tables = devices.map(|on| first.view([ROWS, DIM]).copy().to_device(on));
        let mut both =
            [0, 1].map(|at| DeferredAdam::new(&rule, ComputePath::TensorOps, &tables[at]));
        let mut rng = stream(3, Purpose::Batch, 0);
        for step in 1..=80i64 {
            // Rows from 50 on are touched in the first steps, and never behind them.
            let most = if step < 4 { ROWS } else { 50 };
            let mut ids: Vec<i64> = (0..23).map(|_| rng.random_range(1..most)).collect();
            let mut values: Vec<f32> = ids
                .iter()
                .flat_map(|id| vec![10f32.powi(-2 - (id % 6) as i32); DIM as usize])
                .map(|size| size * rng.random_range(-1.0..1.0))
                .collect();
            // Padding, and one place more of a row without a gradient there.
            ids.extend([0, 0, ids[0]]);
            values.extend([0.0; 3 * DIM as usize]);
            for ((adam, table), on) in both.iter_mut().zip(&tables).zip(devices) {
                let rows = Arc::new(TouchedRows::new(Tensor::from_slice(&ids).to_device(on)));
                adam.catch_up(table, &rows);
                let values = Tensor::from_slice(&values).view([-1, DIM]).to_device(on);
                adam.step_rows(table, &RowGradient::new(rows, values));
            }
        }
        let close = |what: &str, a: &Tensor, b: &Tensor| {
            let b = b.to_device(Device::Cpu);
            let moved = (a - &b).abs().max().double_value(&[]);
            assert!(a.allclose(&b, 1e-5, 1e-7, false), "{what} {epsilon_form:?}: {moved:e}");
        };
        let compare = |both: &[DeferredAdam; 2]| {
            close("table", &tables[0], &tables[1]);
            for ((name, a), (_, b)) in both[0].state().iter().zip(both[1].state()) {
                close(name, a, &b);
            }
        };
        compare(&both);
        both.iter_mut().zip(&tables).for_each(|(adam, table)| adam.catch_up_all(table));
        compare(&both);
        assert!(!tables[0].allclose(&first.view([ROWS, DIM]), 1e-3, 1e-3, false), "they moved");
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn dense_adam() {
    let devices = [Device::Cpu, gpu()];
    let size = [7i64, 91];
    let draw = |from: i64| {
        let numbers = Tensor::arange_start(from, from + 7 * 91, (Kind::Float, Device::Cpu));
        numbers.sin().view(size) * 0.1
    };
    for (epsilon_form, epsilon) in [(EpsilonForm::Tensorflow, 1e-8), (EpsilonForm::Pytorch, 1e-3)] {
        let config = OptimizerConfig { epsilon_form, epsilon, ..Default::default() };
        let rule = Rule::over(&config, 30);
        let own = devices.map(|on| draw(0).to_device(on));
        let mut both = [0, 1].map(|at| Adam::new(&rule, ComputePath::TensorOps, &own[at]));
        for step in 1..=30 {
            for ((adam, parameter), on) in both.iter_mut().zip(&own).zip(devices) {
                adam.step(parameter, &draw(5 * step).to_device(on));
            }
        }
        let states = both.each_ref().map(Adam::state);
        let [cpu, gpu] = [0, 1].map(|at| {
            let state = states[at].iter().map(|(_, value)| value).chain([&own[at]]);
            state.map(|value| value.to_device(Device::Cpu)).collect::<Vec<_>>()
        });
        for (a, b) in cpu.iter().zip(&gpu) {
            assert!(a.allclose(b, 1e-5, 1e-8, false), "{epsilon_form:?}: {a} and {b}");
        }
        assert!(!cpu[3].allclose(&draw(0), 1e-2, 1e-2, false), "they moved");
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn unit_length() {
    let gpu = gpu();
    for size in [vec![7, 33], vec![2, 3, 8], vec![1, 1]] {
        let numbers: i64 = size.iter().product();
        let first = Tensor::arange(numbers, (Kind::Float, Device::Cpu)).sin().view(size.as_slice());
        // A row of zeros is one of its own kind.
        let _ = first.select(0, 0).zero_();
        let of = |on: Device| {
            let leaf = first.to_device(on).detach().copy().set_requires_grad(true);
            let weights = Tensor::arange(numbers, (Kind::Float, on)).cos().view_as(&leaf);
            let unit = Scoring::unit(&leaf);
            let sum = (&unit * weights).sum(Kind::Float);
            let back = Tensor::run_backward(&[&sum], &[&leaf], false, false).swap_remove(0);
            [unit.detach(), back].map(|own| own.to_device(Device::Cpu))
        };
        for (a, b) in of(Device::Cpu).iter().zip(of(gpu)) {
            assert!(a.allclose(&b, 1e-5, 1e-6, false), "{size:?}: {a} and {b}");
            assert_eq!(a.size(), b.size());
        }
        let there = first.to_device(gpu);
        assert_eq!(device::operations(|| drop(Scoring::unit(&there))), ["croloss_unit"]);
    }
}
