//! Steps on a GPU that are recorded once and replayed: all launches of a step by one.

use anyhow::Result;
use tch::{Device, Tensor};

use super::{Plan, Stepper};
use crate::batch::{Batch, DeviceDrawer};
use crate::config::{Config, EncoderConfig, OptimizerKind};
use crate::device::{self, Graph};
use crate::misuse;
use crate::model::Model;

/// Steps of a size that are taken one launch after the other before one is recorded: libraries make at
/// their first use what cannot be recorded.
const WARM_UP: u32 = 3;

/// The recorded step, once there is one.
pub struct Replay {
    /// Queries of the largest batch so far. The last one of an epoch may be smaller, and is launched.
    largest: i64,
    /// Steps of that size.
    taken: u32,
    recorded: Option<Recorded>,
}

/// A step at its places.
struct Recorded {
    graph: Graph,
    /// What a batch is copied to.
    batch: Batch,
    /// A scalar.
    loss: Tensor,
    /// As [`crate::optim::Optimisers::get_ready`] has it.
    places: Vec<usize>,
}

impl Replay {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self { largest: 0, taken: 0, recorded: None }
    }

    /// As [`Stepper::step`], of a stepper whose optimisers have a clock.
    pub fn step(
        &mut self,
        stepper: &mut Stepper,
        model: &Model,
        batch: &Batch,
        step: u64,
    ) -> Tensor {
        let Device::Cuda(gpu) = batch.inputs.device() else {
            unreachable!("a plan replays steps on a GPU alone")
        };
        let queries = batch.query_count();
        if queries < self.largest {
            return stepper.step_by_launches(model, batch, step);
        }
        if queries > self.largest {
            *self = Self { largest: queries, ..Self::new() };
        }
        if self.taken < WARM_UP {
            self.taken += 1;
            return Graph::rehearse(gpu, || stepper.step_by_launches(model, batch, step));
        }
        let places = stepper.get_ready();
        let recorded = match self.recorded.take() {
            Some(own) if own.places == places => {
                let mut lap = stepper.profile.lap();
                for (to, from) in own.batch.differing().into_iter().zip(batch.differing()) {
                    to.shallow_clone().copy_(from);
                }
                stepper.count_replayed();
                own.graph.replay();
                stepper.profile.add("replayed steps", &mut lap);
                own
            }
            before => {
                // Its memory is given back before as much is taken.
                drop(before);
                let batch = batch.copied();
                let (graph, loss) =
                    Graph::record(gpu, || stepper.step_by_launches(model, &batch, step).detach());
                graph.replay();
                Recorded { graph, batch, loss, places }
            }
        };
        let loss = recorded.loss.detach_copy();
        self.recorded = Some(recorded);
        loss
    }
}

impl Plan {
    /// Refuses to replay steps where that is asked for and cannot be done.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with the reason.
    pub fn check_replay(&self, config: &Config) -> Result<()> {
        if !self.replay {
            return Ok(());
        }
        let cannot = [
            (
                !DeviceDrawer::can(config),
                "it is for batches that are cut on the GPU: of users, with candidates for all of \
                 them, without features, tower.repeats and sampling.reject = \"session\"",
            ),
            (config.tower.dropout() > 0.0, "it is for steps without dropout"),
            (
                matches!(config.tower.encoder, EncoderConfig::Gru { .. }),
                "tower.encoder = \"gru\" is not among what it can replay",
            ),
            (
                config.optimizer.kind == OptimizerKind::Adagrad,
                "optimizer.kind = \"adagrad\" is not among what it can replay",
            ),
            (
                config.train.looks_at_each_loss(),
                "with train.skip_batches and with train.log_every = 1 each step's loss is looked at",
            ),
        ];
        let cannot = cannot.into_iter().find(|(so, _)| *so).map(|(_, why)| why.to_owned());
        let kernels = || {
            let why = device::why_no_kernels(self.device)?;
            Some(format!("it needs kernels of the program's own, which are missing here: {why}"))
        };
        match cannot.or_else(kernels).or_else(device::why_no_graph) {
            Some(why) => misuse!("train.cuda_graph = true: {why}; set it to false"),
            None => Ok(()),
        }
    }
}
