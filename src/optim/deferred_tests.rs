//! Deferred Adam against dense Adam in float64 on the same gradients.

use super::*;
use crate::config::{EpsilonForm, OptimizerConfig, ScheduleKind};
use crate::device::read_back;
use crate::optim::Adam;
use crate::random::{Purpose, stream};
use rand::RngExt;
use std::sync::Arc;
use tch::Device;

const DIM: usize = 19;

/// What a trial trains.
struct Trial {
    config: OptimizerConfig,
    rows: usize,
    steps: i64,
    kind: Kind,
    /// Gradients are of this size, times a factor of the row from 1 down to 1e-6.
    size: f64,
    reload_at: Option<i64>,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            config: OptimizerConfig::default(),
            rows: 120,
            steps: 1500,
            kind: Kind::Float,
            size: 1e-2,
            reload_at: None,
        }
    }
}

impl Trial {
    /// The mean difference from dense Adam in units of the mean movement, and the same for the
    /// worst row that moved.
    fn difference(&self) -> (f64, f64) {
        // On such small tensors libtorch's threads would only wait for each other.
        tch::set_num_threads(1);
        let rule = Rule::over(&self.config, self.steps as u64);
        let mut rng = stream(7, Purpose::Batch, 0);
        let begin: Vec<f64> = (0..self.rows * DIM).map(|_| rng.random_range(-0.1..0.1)).collect();
        let begin = Tensor::from_slice(&begin).view([self.rows as i64, DIM as i64]);
        let (exact, table) = (begin.copy(), begin.to_kind(self.kind).copy());
        let mut dense = Adam::new(&rule, ComputePath::TensorOps, &exact);
        let path = path_of(self.kind);
        let mut deferred = DeferredAdam::new(&rule, path, &table);
        for step in 1..=self.steps {
            let ids: Vec<i64> = (0..12)
                .map(|place| match (step, place) {
                    // Row 1 is touched at the first step only, rows from the last tenth never.
                    (1, 0) => 1,
                    _ => {
                        let zipf = (self.rows as f64 * 0.9).powf(rng.random_range(0.0..1.0));
                        (zipf as i64).max(2)
                    }
                })
                .collect();
            let size = |id: i64| self.size * 10f64.powi(-((id % 7) as i32));
            let values: Vec<f64> = ids
                .iter()
                .flat_map(|&id| {
                    (0..DIM).map(|_| size(id) * rng.random_range(-1.0..1.0)).collect::<Vec<_>>()
                })
                .collect();
            let values = Tensor::from_slice(&values).view([12, DIM as i64]).to_kind(self.kind);
            let rows = Arc::new(TouchedRows::new(Tensor::from_slice(&ids)));
            deferred.catch_up(&table, &rows);
            let exactly = values.to_kind(Kind::Double);
            deferred.step_rows(&table, &RowGradient::new(rows.clone(), values));
            dense.step_rows(&exact, &RowGradient::new(rows, exactly));
            if self.reload_at == Some(step) {
                let state: Vec<_> =
                    deferred.state().into_iter().map(|(name, t)| (name, t.copy())).collect();
                deferred = DeferredAdam::new(&rule, path, &table);
                deferred.restore(&state).unwrap();
            }
        }
        deferred.catch_up_all(&table);
        let mean = |t: Tensor| t.abs().mean_dim(1, false, None::<Kind>);
        let moved = mean(&exact - &begin);
        let wrong = mean(&exact - table.to_kind(Kind::Double));
        let never = moved.eq(0.0);
        assert!(never.sum(Kind::Int64).int64_value(&[]) >= self.rows as i64 / 10);
        assert!(wrong.masked_select(&never).max().double_value(&[]) < 1e-8);
        // What a row moves shall not vanish beside what it is: float32 rounds at 4e-9 here, at every touch.
        let worst = ((&wrong - 1e-7) / &moved).masked_fill(&never, 0.0).max().double_value(&[]);
        let total = |t: Tensor| t.sum(Kind::Double).double_value(&[]);
        (total(wrong) / total(moved), worst)
    }

    fn check(&self, what: &str) {
        let (mean, worst) = self.difference();
        assert!(mean < 1e-5 && worst < 3e-4, "{what}: mean {mean:.1e}, worst row {worst:.1e}");
    }
}

fn forms() -> [OptimizerConfig; 2] {
    [EpsilonForm::Tensorflow, EpsilonForm::Pytorch]
        .map(|epsilon_form| OptimizerConfig { epsilon_form, ..Default::default() })
}

/// float32 goes by loops over host memory, float64 by tensor ops as on a GPU.
fn path_of(kind: Kind) -> ComputePath {
    if kind == Kind::Double { ComputePath::TensorOps } else { ComputePath::HostLoops }
}

const KINDS: [(Kind, i64); 2] = [(Kind::Float, 1500), (Kind::Double, 200)];

#[test]
fn it_equals_dense_adam() {
    for (kind, steps) in KINDS {
        for config in forms() {
            let what = format!("{kind:?} {:?}", config.epsilon_form);
            Trial { config, kind, steps, ..Default::default() }.check(&what);
        }
    }
}

#[test]
fn it_equals_dense_adam_under_a_schedule() {
    for (kind, steps) in KINDS {
        for config in forms() {
            let config =
                OptimizerConfig { schedule: ScheduleKind::Cosine, warmup_steps: 200, ..config };
            let what = format!("{kind:?} {:?}, schedule", config.epsilon_form);
            Trial { config, kind, steps, ..Default::default() }.check(&what);
        }
    }
}

/// Gradients from 1e-2 to 1e-8, ε around the √v of each: rows on both sides of it and beside it.
#[test]
fn it_equals_dense_adam_where_v_comes_near_epsilon() {
    for (kind, steps) in KINDS {
        for config in forms() {
            for epsilon in [1e-6, 1e-4, 1e-3] {
                let what = format!("{kind:?} {:?}, ε = {epsilon}", config.epsilon_form);
                let config = OptimizerConfig { epsilon, ..config.clone() };
                Trial { config, kind, steps, ..Default::default() }.check(&what);
            }
        }
    }
}

/// A long memory of gradients: there the values under the sum differ, and elements near ε are
/// replayed in either form.
#[test]
fn it_equals_dense_adam_for_other_betas() {
    for (kind, steps) in KINDS {
        for config in forms() {
            for (beta1, beta2) in [(0.97, 0.999), (0.9, 0.95), (0.0, 0.99)] {
                let what = format!("{kind:?} {:?} β = {beta1}, {beta2}", config.epsilon_form);
                let config = OptimizerConfig { beta1, beta2, epsilon: 1e-5, ..config.clone() };
                Trial { config, kind, steps: steps.min(600), ..Default::default() }.check(&what);
            }
        }
    }
}

#[test]
fn rows_untouched_for_ten_thousand_steps_come_to_the_same_place() {
    for config in forms() {
        let what = format!("{:?}, 10,000 steps", config.epsilon_form);
        Trial { config, steps: 10_000, ..Default::default() }.check(&what);
    }
}

#[test]
fn a_state_saved_in_the_middle_goes_on_as_if_nothing_had_been() {
    for (kind, steps) in KINDS {
        for config in forms() {
            let trial = Trial { config, kind, steps, ..Default::default() };
            let unbroken = trial.difference();
            assert_eq!(Trial { reload_at: Some(100), ..trial }.difference(), unbroken);
        }
    }
}

#[test]
fn a_row_that_was_not_brought_to_the_present_is_an_error() {
    let rule = Rule::over(&OptimizerConfig::default(), 9);
    let table = Tensor::ones([4, 2], (Kind::Float, Device::Cpu));
    let mut adam = DeferredAdam::new(&rule, ComputePath::HostLoops, &table);
    let mut step = |ids: &[i64]| {
        let rows = Arc::new(TouchedRows::new(Tensor::from_slice(ids)));
        let values = Tensor::ones([ids.len() as i64, 2], (Kind::Float, Device::Cpu));
        adam.step_rows(&table, &RowGradient::new(rows, values));
    };
    step(&[1, 2]);
    step(&[3]);
    let late = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(&[1])));
    assert!(late.is_err());
}

/// The step at which PyTorch's ε asks for no more elements to be told apart, for the usual β.
const SETTLED: i64 = 1063;

/// What a GPU runs, run here.
#[test]
fn pytorch_s_epsilon_is_read_back_for_no_longer_than_it_grows() {
    let config = OptimizerConfig { epsilon_form: EpsilonForm::Pytorch, ..Default::default() };
    let table = Tensor::ones([4, 2], (Kind::Double, Device::Cpu));
    let rule = Rule::over(&config, 9000);
    let mut adam = DeferredAdam::new(&rule, ComputePath::TensorOps, &table);
    let rows = Arc::new(TouchedRows::new(Tensor::from_slice(&[1i64, 3])));
    let values = Tensor::ones([2, 2], (Kind::Double, Device::Cpu));
    let gradient = RowGradient::new(rows.clone(), values);
    for step in 1..SETTLED + 20 {
        let read = read_back(|| adam.catch_up(&table, &rows)).is_some();
        // The first step behind it brings all rows to the present.
        if [40, 200, 1000, SETTLED + 1].contains(&step) || step > SETTLED + 1 {
            assert_eq!(read, step <= SETTLED + 1, "{step}");
        }
        adam.step_rows(&table, &gradient);
        if step == 50 {
            adam.catch_up_all(&table);
            let read = read_back(|| adam.catch_up(&table, &rows)).is_some();
            assert!(!read, "rows in the present have no way to go");
        }
    }
}

/// Row 1 moves at the third step only, and is read at the end.
#[test]
fn all_rows_are_brought_to_the_present_once_whenever_a_state_was_saved() {
    let config = OptimizerConfig { epsilon_form: EpsilonForm::Pytorch, ..Default::default() };
    let rule = Rule::over(&config, 9000);
    let end = |reload_at: i64| {
        let table = Tensor::ones([4, 2], (Kind::Float, Device::Cpu));
        let mut adam = DeferredAdam::new(&rule, ComputePath::TensorOps, &table);
        for step in 1..SETTLED + 9 {
            let ids: &[i64] = if step == 3 { &[1, 3] } else { &[2, 3] };
            let rows = Arc::new(TouchedRows::new(Tensor::from_slice(ids)));
            adam.catch_up(&table, &rows);
            let values = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)) * (0.3 / step as f64);
            adam.step_rows(&table, &RowGradient::new(rows, values));
            if step == reload_at {
                let state: Vec<_> =
                    adam.state().into_iter().map(|(name, t)| (name, t.copy())).collect();
                adam = DeferredAdam::new(&rule, ComputePath::TensorOps, &table);
                adam.restore(&state).unwrap();
            }
        }
        let last = adam.last.copy();
        adam.catch_up_all(&table);
        (last, table)
    };
    let unbroken = end(0);
    assert_eq!(unbroken.0.int64_value(&[1]), SETTLED);
    for reload_at in [40, SETTLED - 1, SETTLED, SETTLED + 1] {
        assert_eq!(end(reload_at), unbroken, "{reload_at}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let rule = Rule::over(&OptimizerConfig::default(), 9);
    let of = |rows| {
        let table = Tensor::ones([rows, 2], (Kind::Float, Device::Cpu));
        DeferredAdam::new(&rule, ComputePath::HostLoops, &table)
    };
    assert!(of(3).restore(&of(2).state()).unwrap_err().to_string().contains("shape"));
    assert!(of(3).restore(&of(3).state()[..3]).unwrap_err().to_string().contains("`last`"));
}
