//! Steps and their parts against plain computations, by either path.

mod candidates;
mod feature_gradients;
mod features;
mod mean_pool;
mod parts;
mod product;
mod ranks;
mod repeats;
mod steps;

use std::ops::Range;

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::loops::HostCandidates;
use super::tensors::TensorCandidates;
use super::*;
use crate::batch::HostDrawer;
use crate::config::{Config, LogQ, Settings};
use crate::data::Sequences;
use crate::model::Repeats;
use crate::optim::RowGradient;
use crate::random::{Purpose, stream};

const ITEMS: usize = 60;
const SESSIONS: usize = 120;

fn config(text: &str) -> Config {
    let text = format!(
        "[data]\npath = \"x\"\n[train]\nsteps = 1000\n[sampling]\nsamples = \"positions\"\nbatch = 6\n{text}"
    );
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

const NEGATIVES: &str = "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 40\nper = \"batch\"\n[[sampling.negatives]]\nfrom = \"in-batch\"\ncount = 7\nper = \"session\"\n[[sampling.negatives]]\nfrom = \"popularity\"\ncount = 3\nper = \"event\"\n";

fn sequences() -> Sequences {
    sequences_of(4, 2..8)
}

fn sequences_of(seed: u64, lengths: Range<usize>) -> Sequences {
    let mut rng = stream(seed, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..SESSIONS {
        let length = rng.random_range(lengths.clone());
        all.items.extend((0..length).map(|_| rng.random_range(1..=ITEMS as u32)));
        all.offsets.push(all.items.len());
    }
    all
}

struct Case {
    config: Config,
    model: Model,
    /// `[items + 1]`
    log_counts: Vec<f32>,
    batch: Batch,
}

impl Case {
    fn new(text: &str) -> Self {
        Self::of(text, 6)
    }

    /// With a batch of so many sessions.
    fn of(text: &str, batch: usize) -> Self {
        let mut config = config(text);
        config.sampling.batch = batch;
        Self::by(config)
    }

    fn by(config: Config) -> Self {
        let plan = Plan::of(&config, Device::Cpu);
        Self::planned(config, &plan)
    }

    fn planned(config: Config, plan: &Plan) -> Self {
        let sequences = sequences();
        let members = (0..SESSIONS).collect();
        let assembly = plan.assembly(&config);
        let drawer = HostDrawer::new(&config, &sequences, members, ITEMS, assembly).unwrap();
        let model = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
        Self { model, log_counts: drawer.log_counts(), batch: drawer.draw(0), config }
    }

    fn log_counts_of(&self) -> Option<Tensor> {
        let corrected = self.config.loss.log_q() != LogQ::None;
        corrected.then(|| Tensor::from_slice(&self.log_counts))
    }

    fn tensor_candidates(&self) -> TensorCandidates {
        let tile = Plan::of(&self.config, Device::Cpu).tile();
        TensorCandidates::new(&self.config, tile, self.log_counts_of())
    }

    fn host_candidates(&self) -> HostCandidates {
        HostCandidates::new(&self.config, self.log_counts_of())
    }

    fn stepper(&self) -> Stepper {
        self.stepper_by(&Plan::of(&self.config, Device::Cpu))
    }

    fn stepper_by(&self, plan: &Plan) -> Stepper {
        Stepper::new(&self.config, plan, &self.model, 1000, || self.log_counts.clone())
    }

    /// `[16]`: the parameter of repeats, where they are on.
    fn repeats(&self) -> Option<Tensor> {
        let named = self.model.repeats.as_ref().map(Repeats::parameter);
        named.map(|(_, own)| own.view(-1))
    }

    /// What inner products are multiplied with, from the configuration alone.
    fn factor(&self) -> f64 {
        if self.config.tower.normalize { self.config.tower.scale } else { 1.0 }
    }

    /// Vectors and rows that are far from each other, and rows of one table.
    fn vectors(&self) -> Tensor {
        tch::manual_seed(3);
        let table = self.model.items.scored().weights();
        let _guard = tch::no_grad_guard();
        let _ = table.shallow_clone().normal_(0.0, 0.7);
        for (_, mut own) in self.model.repeats.iter().map(Repeats::parameter) {
            let _ = own.normal_(0.0, 0.1);
        }
        Tensor::randn([self.batch.query_count(), table.size()[1]], (Kind::Float, Device::Cpu))
    }
}

/// A configuration of users, of which four make a batch.
fn users(text: &str) -> Config {
    let batch = if text.contains("batch") { "" } else { "batch = 4\n" };
    let text = format!("[data]\npath = \"x\"\n[sampling]\n{batch}first_position = 1\n{text}");
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

/// `[ITEMS + 1, dim]`: the gradient of rows as one of the table.
fn of_table(gradient: &RowGradient) -> Tensor {
    let size = [ITEMS as i64 + 1, gradient.values.size()[1]];
    let table = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    table.index_add(0, gradient.rows.ids(), &gradient.expanded())
}

/// The plan of a GPU, run here.
fn plan_of_a_gpu(config: &Config) -> Plan {
    Plan { device: Device::Cpu, ..Plan::of(config, Device::Cuda(0)) }
}
