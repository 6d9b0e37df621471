//! `croloss bench step`.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use super::common::{StepOptions, most_memory, say_json, say_profile};
use crate::bench::StepBench;
use crate::cli::device::note_missing_gpu;
use crate::cli::table;
use crate::config::{HistorySetting, OptimizerKind, from_table};
use crate::device;

/// Milliseconds a training step, CROLoss-Lambda, sampling included: the median after a warm-up
#[derive(clap::Args)]
pub struct Step {
    /// Items of the catalogue
    #[arg(long, default_value_t = 367_982, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Users a step, ten negatives for each
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Items of every history
    #[arg(long, default_value_t = 20)]
    history: usize,
    /// Fields of items, each with one of 10,000 values by Zipf's law
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=32))]
    item_fields: u8,
    /// How the item table is moved
    #[arg(long, value_enum, default_value = "deferred")]
    optimizer: Optimizer,
    /// Record a step once as a CUDA graph and replay it, on a GPU
    #[arg(long)]
    graph: bool,
    #[command(flatten)]
    options: StepOptions,
}

/// How the item table is moved.
#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    /// Adam that touches the rows in use and equals dense Adam
    Deferred,
    /// Adam that moves every row
    Dense,
}

impl Step {
    pub fn run(self) -> Result<()> {
        let table = toml::toml! {
            [data]
            path = ""
            [loss]
            kind = "cro-lambda"
        };
        let mut settings = from_table(table, "bench step")?;
        settings.threads = self.options.machine.threads;
        settings.device = self.options.machine.device;
        settings.sampling.batch = self.batch;
        settings.tower.history = HistorySetting::Items(self.history);
        settings.tower.item_features = (1..=self.item_fields).map(|at| at.to_string()).collect();
        settings.train.fused = !self.options.tensors;
        settings.train.cuda_graph = self.graph;
        settings.optimizer.kind = match self.optimizer {
            Optimizer::Deferred => OptimizerKind::DeferredAdam,
            Optimizer::Dense => OptimizerKind::Adam,
        };
        let config = settings.checked()?;
        note_missing_gpu(config.device);
        let items = self.items as usize;
        let times =
            StepBench { config: &config, items, rows: items, steps: self.options.steps }.run()?;
        if self.options.machine.json {
            let measured = json!({
                "items": items,
                "batch": self.batch,
                "history": self.history,
                "item_fields": self.item_fields,
                "optimizer": config.optimizer.kind,
                "fused": config.train.fused,
                "cuda_graph": config.train.cuda_graph && device::open(config.device)?.is_cuda(),
                "ms_per_step": times.milliseconds,
                "operations": times.operations.len(),
            });
            return say_json(measured, device::open(config.device)?);
        }
        say_profile(&times.profile, times.steps)?;
        table::say(format_args!(
            "{:.3} ms a step in the median, {} steps, {} operations, {}",
            times.milliseconds,
            self.options.steps,
            times.operations.len(),
            most_memory(device::open(config.device)?)
        ))
    }
}
