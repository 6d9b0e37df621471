//! Dense Adam: every element moves at every step, also where its gradient is zero, as in the
//! training runs that were published.

use anyhow::{Result, bail};
use rayon::prelude::*;
use tch::Tensor;

use super::state::{Named, entry};
use super::{RowGradient, Rule};
use crate::device::{Argument, ComputePath, Kernels, memory};

/// Adam for one parameter tensor.
pub struct Adam {
    rule: Rule,
    path: ComputePath,
    step: i64,
    /// First moment, of the parameter's shape.
    m: Tensor,
    /// Second moment, of the parameter's shape.
    v: Tensor,
    /// The dense form of a row gradient; all zero between steps.
    scatter: Option<Tensor>,
    /// Where kernels find Adam's numbers, if not with their launch.
    clock: Option<Tensor>,
}

impl Adam {
    /// Zero moments for `parameter`.
    pub fn new(rule: &Rule, path: ComputePath, parameter: &Tensor) -> Self {
        let zeros = || parameter.detach().zeros_like();
        let (m, v, scatter, clock) = (zeros(), zeros(), None, None);
        Self { rule: rule.clone(), path, step: 0, m, v, scatter, clock }
    }

    /// Kernels find Adam's numbers there ([`super::Clock`]) from now on.
    pub fn use_clock(&mut self, clock: Tensor) {
        self.clock = Some(clock);
    }

    /// The step that is done.
    pub fn now(&self) -> i64 {
        self.step
    }

    /// Counts a step whose launches were made without it.
    pub fn advance(&mut self) {
        self.step += 1;
    }

    /// One step with a gradient of the parameter's shape.
    pub fn step(&mut self, parameter: &Tensor, gradient: &Tensor) {
        let _guard = tch::no_grad_guard();
        self.step += 1;
        let (beta1, beta2) = self.rule.betas();
        let (rate, epsilon) = self.rule.at(self.step);
        if self.path == ComputePath::HostLoops {
            // 1 − β is rounded once: from float32's β it would be wrong in its fifth digit.
            let coefficients = [1.0 - beta1, beta2, 1.0 - beta2, rate, epsilon].map(|x| x as f32);
            return step_on_host(
                [parameter, &self.m, &self.v],
                &gradient.contiguous(),
                coefficients,
            );
        }
        if let Some(kernels) = Kernels::of(parameter) {
            let gradient = gradient.contiguous();
            return self.step_by(kernels, &parameter.detach(), &gradient, [rate, epsilon]);
        }
        let _ = self.m.lerp_(gradient, 1.0 - beta1);
        let _ = self.v.g_mul_scalar_(beta2);
        let _ = self.v.addcmul_(gradient, &(gradient * (1.0 - beta2)));
        let mut slope = self.v.sqrt();
        let _ = slope.g_add_scalar_(epsilon).reciprocal_().g_mul_scalar_(-rate);
        let _ = parameter.detach().addcmul_(&self.m, &slope);
    }

    /// The same in one launch.
    fn step_by(&self, kernels: Kernels, parameter: &Tensor, g: &Tensor, own: [f64; 2]) {
        use Argument::{Float, Long, Maybe, Numbers};
        let (numbers, (beta1, beta2)) = (g.numel() as i64, self.rule.betas());
        let [rate, epsilon] = own;
        let arguments = [
            Numbers(g),
            Numbers(parameter),
            Numbers(&self.m),
            Numbers(&self.v),
            Long(numbers),
            Float(1.0 - beta1),
            Float(beta2),
            Float(1.0 - beta2),
            Float(rate),
            Float(epsilon),
            Maybe(self.clock.as_ref()),
        ];
        kernels.launch(c"croloss_adam", numbers, &arguments);
    }

    /// One step of the whole table from the gradient of some of its rows.
    pub fn step_rows(&mut self, table: &Tensor, gradient: &RowGradient) {
        let _guard = tch::no_grad_guard();
        let mut dense = self.scatter.take().unwrap_or_else(|| table.detach().zeros_like());
        let ids = gradient.rows.ids();
        let _ = dense.index_add_(0, ids, &gradient.expanded());
        self.step(table, &dense);
        let _ = dense.index_fill_(0, ids, 0.0);
        self.scatter = Some(dense);
    }

    /// All that the next step depends on besides the parameter, by name; moments share memory.
    pub fn state(&self) -> Named {
        vec![
            ("step", Tensor::from(self.step)),
            ("m", self.m.shallow_clone()),
            ("v", self.v.shallow_clone()),
        ]
    }

    /// Takes over what [`Adam::state`] gave.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the parameter.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let (step, m, v) = (entry(state, "step")?, entry(state, "m")?, entry(state, "v")?);
        if m.size() != self.m.size() || v.size() != self.v.size() {
            bail!("the optimiser state is of shape {:?}, not {:?}", m.size(), self.m.size());
        }
        self.step = i64::try_from(step)?;
        self.m.copy_(m);
        self.v.copy_(v);
        Ok(())
    }
}

/// The update of [`Adam::step`] of [p, m, v] in one pass over memory instead of one for each tensor
/// op.
fn step_on_host(moved: [&Tensor; 3], g: &Tensor, coefficients: [f32; 5]) {
    /// Elements a task: their four arrays stay in a core's cache.
    const CHUNK: usize = 1 << 14;
    let [grow1, beta2, grow2, rate, epsilon] = coefficients;
    // SAFETY: p, m and v are distinct memory that nothing else reads or writes during a step.
    let [p, m, v] = moved.map(|tensor| unsafe { memory::floats_mut(tensor) });
    let g = memory::floats(g);
    let chunks = p.par_chunks_mut(CHUNK).zip(m.par_chunks_mut(CHUNK)).zip(v.par_chunks_mut(CHUNK));
    chunks.zip(g.par_chunks(CHUNK)).for_each(|(((p, m), v), g)| {
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m += grow1 * (g - *m);
            *v = beta2 * *v + grow2 * g * g;
            *p -= rate * *m / (v.sqrt() + epsilon);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EpsilonForm, OptimizerConfig};
    use crate::optim::TouchedRows;
    use crate::random::{Purpose, stream};
    use rand::RngExt;
    use std::sync::Arc;
    use tch::{Device, Kind};

    /// One element, written from the two papers' formulas.
    struct Scalar {
        p: f64,
        m: f64,
        v: f64,
    }

    impl Scalar {
        fn step(&mut self, g: f64, t: i32, c: &OptimizerConfig) {
            self.m = c.beta1 * self.m + (1.0 - c.beta1) * g;
            self.v = c.beta2 * self.v + (1.0 - c.beta2) * g * g;
            let (c1, c2) = (1.0 - c.beta1.powi(t), 1.0 - c.beta2.powi(t));
            self.p -= match c.epsilon_form {
                EpsilonForm::Tensorflow => {
                    c.learning_rate * c2.sqrt() / c1 * self.m / (self.v.sqrt() + c.epsilon)
                }
                EpsilonForm::Pytorch => {
                    c.learning_rate * (self.m / c1) / ((self.v / c2).sqrt() + c.epsilon)
                }
            };
        }
    }

    fn values(t: &Tensor) -> Vec<f64> {
        Vec::<f64>::try_from(t.to_kind(Kind::Double).view(-1)).unwrap()
    }

    /// float64 goes by tensor ops as on a GPU, float32 by the loop over host memory.
    fn path_of(kind: Kind) -> ComputePath {
        if kind == Kind::Double { ComputePath::TensorOps } else { ComputePath::HostLoops }
    }

    /// 300 steps on a `[6, 2]` table; row 0 is never touched, row 5 only at the first step, and
    /// ids repeat within a step.
    fn run(
        kind: Kind,
        form: EpsilonForm,
        epsilon: f64,
        reload_at: Option<i32>,
    ) -> (Vec<f64>, Vec<f64>) {
        let config = OptimizerConfig { epsilon_form: form, epsilon, ..Default::default() };
        let rule = Rule::over(&config, 300);
        let path = path_of(kind);
        let table = Tensor::ones([6, 2], (kind, Device::Cpu));
        let mut adam = Adam::new(&rule, path, &table);
        let mut plain: Vec<Scalar> = (0..12).map(|_| Scalar { p: 1.0, m: 0.0, v: 0.0 }).collect();
        let mut rng = stream(5, Purpose::Batch, 0);
        for t in 1..=300 {
            let ids: Vec<i64> = match t {
                1 => vec![5, 5, 1],
                _ => (0..3).map(|_| rng.random_range(1..5)).collect(),
            };
            let gradients: Vec<f64> = (0..6).map(|_| rng.random_range(-1e-3..1e-3)).collect();
            let mut dense = [0.0; 12];
            for (k, id) in ids.iter().enumerate() {
                for d in 0..2 {
                    dense[*id as usize * 2 + d] += gradients[k * 2 + d];
                }
            }
            for (element, g) in plain.iter_mut().zip(dense) {
                element.step(g, t, &config);
            }
            if reload_at == Some(t) {
                let state: Vec<_> =
                    adam.state().into_iter().map(|(name, t)| (name, t.copy())).collect();
                adam = Adam::new(&rule, path, &table);
                adam.restore(&state).unwrap();
            }
            let rows = Arc::new(TouchedRows::new(Tensor::from_slice(&ids)));
            let values = Tensor::from_slice(&gradients).view([3, 2]).to_kind(kind);
            adam.step_rows(&table, &RowGradient::new(rows, values));
        }
        (values(&table), plain.iter().map(|e| e.p).collect())
    }

    #[test]
    fn both_forms_equal_the_scalar_formulas_also_where_rows_are_not_touched() {
        for form in [EpsilonForm::Tensorflow, EpsilonForm::Pytorch] {
            for (kind, tolerance) in [(Kind::Double, 1e-10), (Kind::Float, 1e-5)] {
                for epsilon in [1e-8, 1e-3] {
                    let (table, plain) = run(kind, form, epsilon, None);
                    for (a, b) in table.iter().zip(&plain) {
                        assert!((a - b).abs() < tolerance, "{form:?} {epsilon}: {a} {b}");
                    }
                    assert_eq!(&table[..2], [1.0, 1.0]);
                }
            }
            // A first step alone is one learning rate long: row 5 went on after its only gradient.
            let (table, _) = run(Kind::Double, form, 1e-8, None);
            assert!((table[10] - 1.0).abs() > 0.03, "{table:?}");
        }
        // The two forms differ where ε matters, so the test tells them apart.
        let tf = run(Kind::Double, EpsilonForm::Tensorflow, 1e-3, None).0;
        let torch = run(Kind::Double, EpsilonForm::Pytorch, 1e-3, None).0;
        assert!((tf[2] - torch[2]).abs() > 1e-3);
    }

    #[test]
    fn a_restored_state_goes_on_where_it_was() {
        let unbroken = run(Kind::Double, EpsilonForm::Tensorflow, 1e-8, None).0;
        assert_eq!(run(Kind::Double, EpsilonForm::Tensorflow, 1e-8, Some(150)).0, unbroken);
    }

    #[test]
    fn a_state_of_another_shape_is_refused() {
        let rule = Rule::over(&OptimizerConfig::default(), 1);
        let small = Adam::new(
            &rule,
            ComputePath::HostLoops,
            &Tensor::ones([2], (Kind::Float, Device::Cpu)),
        );
        let mut large = Adam::new(
            &rule,
            ComputePath::HostLoops,
            &Tensor::ones([3], (Kind::Float, Device::Cpu)),
        );
        assert!(large.restore(&small.state()).unwrap_err().to_string().contains("shape"));
    }
}
