//! One training step.

use tch::{Device, Kind, Tensor};

use super::Profile;
use super::fused::{Fused, Outcome};
use crate::config::{Config, EncoderKind, Reject, Samples};
use crate::loss::{self, Loss, RowLoss, Scores};
use crate::optim::{ParameterOptimizer, RowGradient, Rule, TableOptimizer};
use crate::sampling::Batch;
use crate::tower::{Dropout, TwoTower};

/// The model's objective and optimisers.
pub struct Stepper {
    loss: Box<dyn Loss>,
    scale: f64,
    /// Whether accidental hits are left out.
    mask: bool,
    /// One for each of the encoder's parameters, in its order.
    encoder: Vec<ParameterOptimizer>,
    items: TableOptimizer,
    fused: Option<Fused>,
    dropout: Option<Dropout>,
    profile: Profile,
}

/// Whether a step is taken by the loops of this crate, not by tensor ops.
pub fn by_loops(config: &Config, device: Device) -> bool {
    config.train.fused
        && device == Device::Cpu
        && config.tower.encoder.kind() == EncoderKind::MeanPool
        && config.tower.normalize
        && RowLoss::covers(config.loss.kind())
        && config.sampling.samples == Samples::Users
}

impl Stepper {
    /// Optimisers with zero moments for `model`, over `steps` steps.
    pub fn new(config: &Config, model: &TwoTower, steps: u64) -> Self {
        let rule = Rule::over(&config.optimizer, steps);
        let weights = model.items.weights();
        let fused = by_loops(config, weights.device());
        let mask = config.sampling.reject != Reject::None;
        let own = |parameter: &Tensor| ParameterOptimizer::new(&config.optimizer, &rule, parameter);
        Self {
            loss: loss::build(&config.loss),
            scale: config.tower.factor(),
            mask,
            encoder: model.encoder.parameters().iter().map(|(_, p)| own(p)).collect(),
            items: TableOptimizer::new(&config.optimizer, &rule, &weights),
            fused: fused.then(|| Fused::new(RowLoss::new(&config.loss), config.tower.scale, mask)),
            dropout: None,
            profile: Profile::default(),
        }
    }

    /// The draws of dropout for the next step.
    pub fn drop_by(&mut self, dropout: Dropout) {
        self.dropout = Some(dropout);
    }

    /// Moves the model by one step on `batch`. Returns the loss, a scalar on the run's device.
    pub fn step(&mut self, model: &TwoTower, batch: &Batch) -> Tensor {
        let table = model.items.weights();
        let mut lap = self.profile.lap();
        self.items.catch_up(&table, &batch.rows);
        self.profile.add("rows to the present", &mut lap);
        let rows = &batch.rows;
        if let Some((fused, encoder)) = self.fused.as_mut().zip(model.encoder.as_mean_pool()) {
            let Outcome { loss, encoder, values, sources } =
                fused.run(&model.items, encoder, batch, &mut self.profile);
            let mut lap = self.profile.lap();
            for ((adam, (_, parameter)), gradient) in
                self.encoder.iter_mut().zip(model.encoder.parameters()).zip(&encoder)
            {
                adam.step(&parameter, gradient);
            }
            let sources = Some(sources);
            self.items.step_rows(&table, &RowGradient { rows, values, sources });
            self.profile.add("optimiser", &mut lap);
            return Tensor::from(loss as f32);
        }
        // The gathered rows are the leaves of the gradient: none of the table's size is made.
        let rows = model.items.gather(batch.rows.ids()).set_requires_grad(true);
        let dropout = self.dropout.take();
        let loss = (self.scale, self.mask);
        let loss = self.loss.loss(&scores(model, batch, &rows, loss, dropout.as_ref()));
        self.profile.add("scores and loss", &mut lap);
        let parameters = model.encoder.parameters();
        let leaves: Vec<&Tensor> =
            parameters.iter().map(|(_, p)| p).chain(std::iter::once(&rows)).collect();
        let gradients = Tensor::run_backward(&[&loss], &leaves, false, false);
        self.profile.add("backward", &mut lap);
        for ((adam, (_, parameter)), gradient) in
            self.encoder.iter_mut().zip(&parameters).zip(&gradients)
        {
            adam.step(parameter, gradient);
        }
        let values = gradients.last().expect("one gradient for each leaf");
        self.items.step_rows(&table, &RowGradient { rows: &batch.rows, values, sources: None });
        self.profile.add("optimiser", &mut lap);
        loss.detach()
    }

    /// Where the time of the steps went. On a GPU these are times of launching, not of computing.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Brings the whole model to the present. Must come before it is evaluated or saved.
    pub fn catch_up(&mut self, model: &TwoTower) {
        self.items.catch_up_all(&model.items.weights());
    }
}

/// Scores of a batch at scale γ from its rows `[histories + targets + negatives, dim]`; `mask`
/// leaves accidental hits out.
pub(super) fn scores(
    model: &TwoTower,
    batch: &Batch,
    rows: &Tensor,
    (scale, mask): (f64, bool),
    dropout: Option<&Dropout>,
) -> Scores {
    let (users, length) = batch.histories.size2().expect("histories are a matrix");
    let negatives = batch.negatives.size()[0];
    let parts = rows.split_with_sizes([users * length, users, negatives], 0);
    let histories = parts[0].view([users, length, -1]);
    let user = model.user_vectors(&histories, &batch.histories, dropout) * scale;
    let positive = (&user * model.candidates(&parts[1])).sum_dim_intlist(1, false, None::<Kind>);
    let mut negative = user.matmul(&model.candidates(&parts[2]).tr());
    if mask {
        let hits = batch.targets.unsqueeze(1).eq_tensor(&batch.negatives.unsqueeze(0));
        negative = negative.masked_fill(&hits, f64::NEG_INFINITY);
    }
    Scores::all(positive, negative, model.items.items() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::data::Sequences;
    use crate::device::{operations, read_back};
    use crate::sampling::BatchSource;

    fn config(text: &str) -> Config {
        let text = format!("[data]\npath = \"x\"\n{text}");
        toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
    }

    fn batch() -> Batch {
        Batch::new(
            &Tensor::from_slice2(&[[1i64, 2], [3, 0]]),
            &Tensor::from_slice(&[4i64, 5]),
            &Tensor::from_slice(&[4i64, 6, 6]),
        )
    }

    #[test]
    fn an_accidental_hit_is_no_rival_unless_it_is_kept() {
        for (choice, infinite) in [("mask", true), ("keep", false)] {
            let config = config(&format!("[sampling]\naccidental_hits = \"{choice}\""));
            let model = TwoTower::new(&config.tower, 8, 1, Device::Cpu);
            let stepper = Stepper::new(&config, &model, 1000);
            let batch = batch();
            let rows = model.items.gather(batch.rows.ids());
            let scores = scores(&model, &batch, &rows, (stepper.scale, stepper.mask), None);
            let negative = Vec::<f32>::try_from(scores.negative.view(-1)).unwrap();
            assert_eq!(negative[0].is_infinite(), infinite);
            assert!(negative[1..].iter().all(|s| s.abs() <= 10.001));
            let positive = Vec::<f32>::try_from(&scores.positive).unwrap();
            assert!(infinite || (negative[0] - positive[0]).abs() < 1e-5);
        }
    }

    #[test]
    fn steps_on_one_batch_lower_its_loss_and_leave_padding_alone() {
        for kind in
            ["cro", "cro-lambda", "cross-entropy", "triplet", "bpr", "bce", "gbce", "bpr-max"]
        {
            let config = config(&format!("[loss]\nkind = \"{kind}\""));
            let model = TwoTower::new(&config.tower, 8, 1, Device::Cpu);
            let mut stepper = Stepper::new(&config, &model, 1000);
            let losses: Vec<f64> =
                (0..50).map(|_| stepper.step(&model, &batch()).double_value(&[])).collect();
            assert!(losses[49] < 0.9 * losses[0], "{kind}: {losses:?}");
            let padding = model.items.weights().get(0).abs().sum(Kind::Float);
            assert_eq!(padding.double_value(&[]), 0.0);
        }
    }

    /// What a GPU runs, run here.
    #[test]
    fn the_step_by_tensor_ops_reads_nothing_back() {
        for optimizer in ["deferred-adam", "adam"] {
            let config = config(&format!(
                "[sampling]\nbatch = 4\n[optimizer]\nkind = \"{optimizer}\"\n[train]\nfused = false"
            ));
            let sequences = Sequences {
                items: (0..60).map(|i| i % 9 + 1).collect(),
                offsets: (0..=6).map(|user| 10 * user).collect(),
            };
            let users = (0..6).collect();
            let source = BatchSource::new(&config, &sequences, users, 9, false, Device::Cpu);
            let model = TwoTower::new(&config.tower, 9, 1, Device::Cpu);
            let mut stepper = Stepper::new(&config, &model, 1000);
            source.unwrap().run(0..6, |next| {
                for _ in 0..3 {
                    let names = operations(|| drop(stepper.step(&model, &next())));
                    assert!(names.len() > 40, "{names:?}");
                    let read = read_back(|| drop(stepper.step(&model, &next())));
                    assert_eq!(read, None, "{optimizer}");
                }
            });
        }
    }

    /// The row-wise step equals autograd through the whole table, whose gradient is dense.
    #[test]
    fn row_gradients_are_the_gradient_of_the_table() {
        let config = config("[sampling]\naccidental_hits = \"keep\"");
        let model = TwoTower::new(&config.tower, 8, 1, Device::Cpu);
        let mut stepper = Stepper::new(&config, &model, 1000);
        let table = model.items.weights().copy().set_requires_grad(true);
        let batch = batch();
        let scores =
            scores(&model, &batch, &table.index_select(0, batch.rows.ids()), (10.0, false), None);
        stepper.loss.loss(&scores).backward();
        crate::optim::Adam::new(&Rule::over(&config.optimizer, 1000), &table)
            .step(&table, &table.grad());
        let _ = stepper.step(&model, &batch);
        assert!(model.items.weights().allclose(&table.detach(), 1e-5, 1e-7, false));
    }
}
