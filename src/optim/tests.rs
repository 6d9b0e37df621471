//! All optimisers together: a state that is taken over goes on as if nothing had been.

use rand::RngExt;
use tch::{Device, Kind};

use super::*;
use crate::config::OptimizerKind;
use crate::random::{Purpose, stream};

const ROWS: i64 = 30;

struct Weights {
    bias: Tensor,
    items: Tensor,
    outputs: Tensor,
}

impl Weights {
    fn new(kind: Kind) -> Self {
        let ones = |size: &[i64]| Tensor::ones(size, (kind, Device::Cpu));
        Self { bias: ones(&[3]), items: ones(&[ROWS, 3]), outputs: ones(&[ROWS, 4]) }
    }

    fn all(&self) -> [&Tensor; 3] {
        [&self.bias, &self.items, &self.outputs]
    }

    fn optimisers(&self, kind: OptimizerKind, path: ComputePath) -> Optimisers {
        let config = OptimizerConfig { kind, ..Default::default() };
        let tables =
            vec![("items", self.items.shallow_clone()), ("outputs", self.outputs.shallow_clone())];
        let parameters = vec![("encoder.bias", self.bias.shallow_clone())];
        Optimisers::new(&config, 100, path, parameters, tables)
    }
}

/// The gradients of step `step`, a function of it.
fn step(optimisers: &mut Optimisers, step: u64, kind: Kind) {
    let mut rng = stream(3, Purpose::Batch, step);
    let mut draw = |size: [i64; 2]| {
        let values: Vec<f64> =
            (0..size[0] * size[1]).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_slice(&values).view(size).to_kind(kind)
    };
    let values = [draw([1, 3]), draw([5, 3]), draw([5, 4])];
    let mut ids = || {
        let ids: Vec<i64> = (0..5).map(|_| rng.random_range(1..ROWS)).collect();
        Arc::new(TouchedRows::new(Tensor::from_slice(&ids)))
    };
    let rows = [ids(), ids()];
    optimisers.catch_up(&rows);
    let [bias, items, outputs] = values;
    let [read, scored] = rows;
    optimisers.apply(&Gradients {
        loss: Tensor::from(0.0),
        parameters: vec![bias.view([3])],
        tables: vec![RowGradient::new(read, items), RowGradient::new(scored, outputs)],
    });
}

#[test]
fn a_state_that_is_taken_over_goes_on_as_if_nothing_had_been() {
    for kind in [OptimizerKind::DeferredAdam, OptimizerKind::Adam, OptimizerKind::Adagrad] {
        for (float, path) in
            [(Kind::Float, ComputePath::HostLoops), (Kind::Double, ComputePath::TensorOps)]
        {
            let unbroken = Weights::new(float);
            let broken = Weights::new(float);
            let mut a = unbroken.optimisers(kind, path);
            let mut b = broken.optimisers(kind, path);
            for at in 0..40 {
                step(&mut a, at, float);
                step(&mut b, at, float);
                if at == 17 {
                    let state: State =
                        b.state().into_iter().map(|(name, value)| (name, value.copy())).collect();
                    assert!(state.iter().any(|(name, _)| name.starts_with("encoder.bias/")));
                    b = broken.optimisers(kind, path);
                    b.restore(&state).unwrap();
                }
            }
            a.catch_up_all();
            b.catch_up_all();
            for (a, b) in unbroken.all().into_iter().zip(broken.all()) {
                assert_eq!(a, b, "{kind:?} {path:?}");
                assert!(a.ne(1.0).any().int64_value(&[]) == 1);
            }
        }
    }
}

#[test]
fn a_state_that_lacks_a_weight_is_refused_by_its_name() {
    let weights = Weights::new(Kind::Float);
    let mut own = weights.optimisers(OptimizerKind::Adam, ComputePath::HostLoops);
    let mut state = own.state();
    state.retain(|(name, _)| name != "outputs/v");
    let error = format!("{:#}", own.restore(&state).unwrap_err());
    assert!(error.contains("`outputs/v`"), "{error}");
    let deferred = weights.optimisers(OptimizerKind::DeferredAdam, ComputePath::HostLoops);
    let error = own.restore(&deferred.state()).unwrap_err().to_string();
    assert!(error.contains("`items/last`, of another optimiser"), "{error}");
}
