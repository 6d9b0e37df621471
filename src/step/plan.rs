//! Who does what: the only place that chooses between tensor ops and loops over host memory.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use tch::Device;

use crate::batch::{Assembly, DeviceDrawer};
use crate::config::{Config, DeviceChoice, EncoderConfig, OptimizerKind, Per, Reject, Samples};
use crate::device::{self, ComputePath};
use crate::host::row_loss::RowLoss;
use crate::model::Draws;

/// How a run is computed. Printed when training starts and saved in `run.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    #[serde(skip)]
    pub device: Device,
    /// Who cuts batches, whichever the same ones: they are a function of data and sampling alone.
    pub batches: Draws,
    /// Who draws what dropout sets to zero: likewise.
    pub dropout: Draws,
    pub step: StepPath,
    pub optimizer: ComputePath,
    pub ranking: ComputePath,
    /// Whether a step is recorded once and replayed.
    pub replay: bool,
}

/// How gradients are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPath {
    /// All by tensor ops.
    TensorOps,
    /// The encoder by tensor ops on every thread, candidates in host loops.
    HostLoops,
    /// Everything in one host loop, for the mean-pool encoder.
    MeanPoolLoops,
}

impl Plan {
    /// The plan of a run on `device`.
    pub fn of(config: &Config, device: Device) -> Self {
        let host = device == Device::Cpu;
        let ranking = match config.train.fused {
            true => Self::of_ranking(device),
            false => ComputePath::TensorOps,
        };
        let step = match ranking {
            ComputePath::TensorOps => StepPath::TensorOps,
            ComputePath::HostLoops if pooled(config) => StepPath::MeanPoolLoops,
            ComputePath::HostLoops => StepPath::HostLoops,
        };
        let on_device = !host && DeviceDrawer::can(config);
        Self {
            device,
            batches: if on_device { Draws::Device } else { Draws::Host },
            dropout: if host { Draws::Host } else { Draws::Device },
            step,
            optimizer: match config.optimizer.kind {
                OptimizerKind::Adagrad => ComputePath::TensorOps,
                OptimizerKind::DeferredAdam | OptimizerKind::Adam => ranking,
            },
            ranking,
            replay: !host && config.train.cuda_graph,
        }
    }

    /// How a catalogue is ranked on `device` where no run says otherwise.
    pub fn of_ranking(device: Device) -> ComputePath {
        if device == Device::Cpu { ComputePath::HostLoops } else { ComputePath::TensorOps }
    }

    /// Opens the device of `config`, sets the process's threads and makes the plan.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the device is not there.
    pub fn open(config: &Config) -> Result<Self> {
        device::use_threads(config.threads);
        let plan = Self::of(config, device::open(config.device)?);
        if plan.step != StepPath::TensorOps {
            // The threads of this crate do the work: libtorch's would spin beside them.
            tch::set_num_threads(1);
        }
        Ok(plan)
    }

    /// The plan of a run on the host, whatever else the machine has.
    pub fn open_host(config: &Config) -> Self {
        device::use_threads(config.threads);
        tch::set_num_threads(1);
        Self::of(config, Device::Cpu)
    }

    /// Opens a device for work without training and sets the process's threads.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the device is not there.
    pub fn open_for_ranking(choice: DeviceChoice, threads: u32) -> Result<Device> {
        device::use_threads(threads);
        let device = device::open(choice)?;
        if Self::of_ranking(device) == ComputePath::HostLoops {
            tch::set_num_threads(1);
        }
        Ok(device)
    }

    /// How items are composed of their features: as steps are taken.
    pub fn composing(&self) -> ComputePath {
        match self.step {
            StepPath::TensorOps => ComputePath::TensorOps,
            StepPath::HostLoops | StepPath::MeanPoolLoops => ComputePath::HostLoops,
        }
    }

    /// Numbers that the scores of a tile of queries may take by tensor ops: 64 MiB of float32, on a
    /// GPU 256 MiB, of which a step holds some ten times as much.
    pub fn tile(&self) -> i64 {
        if self.device == Device::Cpu { 1 << 24 } else { 1 << 26 }
    }

    /// Whether the loss of each step can be read at no cost: a GPU would be waited for.
    pub fn losses_are_at_hand(&self) -> bool {
        self.device == Device::Cpu
    }

    /// What batches are put together for.
    pub fn assembly(&self, config: &Config) -> Assembly {
        /// For the threads of a host.
        const CHUNKS: usize = 16;
        let host = self.step != StepPath::TensorOps;
        // The host draws for dropout chunk by chunk, the same for either path.
        let drawn_by_chunk = self.dropout == Draws::Host && config.tower.dropout() > 0.0;
        let chunked = host || drawn_by_chunk;
        Assembly {
            device: self.device,
            chunks: if chunked { CHUNKS } else { 1 },
            host,
            tied: config.tower.tied,
            reject: config.sampling.reject,
            repeats: config.tower.repeats,
        }
    }
}

/// Whether one loop covers the whole step: users' last positions through the mean-pool encoder,
/// cosines with candidates that the batch shares, and a loss that is a function of rows.
fn pooled(config: &Config) -> bool {
    let (tower, sampling) = (&config.tower, &config.sampling);
    tower.encoder == EncoderConfig::MeanPool
        && tower.normalize
        && tower.tied
        && !tower.repeats
        && tower.user_features.is_empty()
        && sampling.samples == Samples::Users
        && sampling.negatives.iter().all(|source| source.per == Per::Batch)
        && sampling.reject != Reject::Session
        && sampling.top_k == 0
        && RowLoss::new(config).is_some()
}

/// One line of a terminal, `on cpu: batches host; steps mean-pool loops; moves loops; ranks loops`:
/// who draws batches, by what steps are taken, rows moved, catalogues ranked.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let batches = match self.batches {
            Draws::Host => "host",
            Draws::Device => "device",
        };
        let steps = match self.step {
            StepPath::TensorOps if self.replay => "replayed",
            StepPath::TensorOps => "tensor ops",
            StepPath::HostLoops => "loops",
            StepPath::MeanPoolLoops => "mean-pool loops",
        };
        let by = |path| match path {
            ComputePath::TensorOps => "tensor ops",
            ComputePath::HostLoops => "loops",
        };
        let (device, moves, ranks) =
            (device::name(self.device), by(self.optimizer), by(self.ranking));
        write!(f, "on {device}: batches {batches}; steps {steps}; moves {moves}; ranks {ranks}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn plan(text: &str, device: Device) -> Plan {
        let text = format!("data.path = \"x\"\n{text}");
        Plan::of(&toml::from_str::<Settings>(&text).unwrap().checked().unwrap(), device)
    }

    #[test]
    fn a_gpu_works_by_tensor_ops_and_cuts_its_batches_where_it_can() {
        let of = |text| plan(text, Device::Cuda(1));
        let own = of("");
        let (ops, device) = (ComputePath::TensorOps, Draws::Device);
        assert_eq!((own.step, own.optimizer, own.ranking), (StepPath::TensorOps, ops, ops));
        assert_eq!((own.batches, own.dropout), (device, device));
        for text in [
            "sampling.reject = \"session\"",
            "tower.repeats = true",
            "sampling.negatives = [{ from = \"in-batch\", count = 5, per = \"session\" }]",
            "sampling = { samples = \"positions\", negatives = [{ from = \"uniform\", count = 5, per = \"batch\" }] }",
        ] {
            assert_eq!(of(text).batches, Draws::Host, "{text}");
        }
        assert!(!own.replay);
        let replayed = of("train.cuda_graph = true");
        assert!(replayed.replay && replayed.to_string().contains("steps replayed;"));
        let given = of("sampling.order = \"given\"");
        assert_eq!(given.batches, device);
        let said = own.to_string();
        let expected =
            "on cuda:1: batches device; steps tensor ops; moves tensor ops; ranks tensor ops";
        assert_eq!((said.as_str(), said.len()), (expected, 79));
    }

    #[test]
    fn what_is_drawn_depends_on_neither_loss_nor_encoder_nor_path() {
        for device in [Device::Cpu, Device::Cuda(0)] {
            let drawn = |text| {
                let plan = plan(text, device);
                (plan.batches, plan.dropout)
            };
            for text in [
                "loss.kind = \"bce\"",
                "tower.encoder = \"transformer\"",
                "train.fused = false",
                "sampling.top_k = 5",
            ] {
                assert_eq!(drawn(text), drawn(""), "{text}");
            }
        }
    }

    #[test]
    fn a_cpu_takes_one_loop_where_one_covers_the_step() {
        let step = |text| plan(text, Device::Cpu).step;
        for text in ["", "loss.kind = \"cross-entropy\"", "sampling.reject = \"none\""] {
            assert_eq!(step(text), StepPath::MeanPoolLoops, "{text}");
        }
        for text in [
            "loss.kind = \"bce\"",
            "loss = { kind = \"cross-entropy\", log_q = \"negatives\" }",
            "tower.encoder = \"gru\"",
            "tower.normalize = false",
            "tower.tied = false",
            "tower.repeats = true",
            "sampling.top_k = 5",
            "sampling.reject = \"session\"",
        ] {
            assert_eq!(step(text), StepPath::HostLoops, "{text}");
        }
        let adagrad = plan("optimizer.kind = \"adagrad\"", Device::Cpu);
        assert_eq!(
            (adagrad.step, adagrad.optimizer),
            (StepPath::MeanPoolLoops, ComputePath::TensorOps)
        );
        assert!(!plan("train.cuda_graph = true", Device::Cpu).replay);
        let slow = plan("train.fused = false", Device::Cpu);
        assert_eq!(slow.step, StepPath::TensorOps);
        assert_eq!(
            (slow.optimizer, slow.ranking),
            (ComputePath::TensorOps, ComputePath::TensorOps)
        );
    }
}
