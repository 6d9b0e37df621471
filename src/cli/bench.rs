use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::session_bench::SessionStep;
use super::table;
use crate::bench::{RankBench, StepBench};
use crate::config::{DeviceChoice, OptimizerKind, from_table};
use crate::device;
use crate::profile::Profile;
use crate::train::peak_memory_mib;

/// Measure the speed of this machine on random data made on the spot
#[derive(clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Step(Step),
    SessionStep(Box<SessionStep>),
    Rank(Rank),
}

/// Milliseconds a training step, CROLoss-Lambda, sampling included: the median after a warm-up
#[derive(clap::Args)]
struct Step {
    /// Items of the catalogue
    #[arg(long, default_value_t = 367_982, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Users a step, ten negatives for each
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Items of every history
    #[arg(long, default_value_t = 20)]
    history: usize,
    /// How the item table is moved
    #[arg(long, value_enum, default_value = "deferred")]
    optimizer: Optimizer,
    /// Steps that are measured
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Take the tensor ops that run on a GPU instead of the loops for a CPU
    #[arg(long)]
    tensors: bool,
    #[command(flatten)]
    common: Common,
}

/// Users a second of exact ranking
#[derive(clap::Args)]
struct Rank {
    /// Items of the catalogue
    #[arg(long, default_value_t = 367_982, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Users to rank for
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Targets a user
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    targets: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
pub struct Common {
    /// CPU threads; 0: one for every core
    #[arg(long, default_value_t = 0)]
    pub threads: u32,
    /// cpu, cuda, cuda:1; auto takes the first GPU if there is one
    #[arg(long, default_value = "auto", value_parser = device_choice)]
    pub device: DeviceChoice,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    /// Adam that touches the rows in use and equals dense Adam
    Deferred,
    /// Adam that moves every row
    Dense,
}

impl Bench {
    pub fn run(self) -> Result<()> {
        match self.what {
            What::Step(step) => step.run(),
            What::SessionStep(step) => step.run(),
            What::Rank(rank) => rank.run(),
        }
    }
}

impl Step {
    fn run(self) -> Result<()> {
        let table = toml::toml! {
            [data]
            path = ""
            [loss]
            kind = "cro-lambda"
        };
        let mut settings = from_table(table, "bench step")?;
        settings.threads = self.common.threads;
        settings.device = self.common.device;
        settings.sampling.batch = self.batch;
        settings.tower.history = self.history;
        settings.train.fused = !self.tensors;
        settings.optimizer.kind = match self.optimizer {
            Optimizer::Deferred => OptimizerKind::DeferredAdam,
            Optimizer::Dense => OptimizerKind::Adam,
        };
        let config = settings.checked()?;
        let items = self.items as usize;
        let times = StepBench { config: &config, items, rows: items, steps: self.steps }.run()?;
        if self.common.json {
            return table::say(json!({
                "program": "croloss",
                "items": items,
                "batch": self.batch,
                "history": self.history,
                "optimizer": config.optimizer.kind,
                "fused": config.train.fused,
                "threads": rayon::current_num_threads(),
                "device": device::name(device::open(config.device)?),
                "ms_per_step": times.milliseconds,
                "operations": times.operations.len(),
                "peak_rss_mib": peak_memory_mib(),
            }));
        }
        parts(&times.profile, times.steps)?;
        table::say(format_args!(
            "{:.3} ms a step (median of {}), {} operations of libtorch, {} MiB at most",
            times.milliseconds,
            self.steps,
            times.operations.len(),
            peak_memory_mib()
        ))
    }
}

impl Rank {
    fn run(self) -> Result<()> {
        device::use_threads(self.common.threads);
        let device = device::open(self.common.device)?;
        let bench = RankBench {
            items: self.items as usize,
            users: self.users as usize,
            targets: self.targets as usize,
            dim: 32,
            device,
        };
        let rate = bench.run()?;
        if self.common.json {
            return table::say(json!({
                "program": "croloss",
                "items": self.items,
                "users": self.users,
                "targets": self.targets,
                "threads": rayon::current_num_threads(),
                "device": device::name(device),
                "users_per_second": rate,
                "peak_rss_mib": peak_memory_mib(),
            }));
        }
        table::say(format_args!("{rate:.0} users a second, {} MiB at most", peak_memory_mib()))
    }
}

/// Says how long each part of a step took.
pub fn parts(profile: &Profile, steps: u64) -> Result<()> {
    for (part, ms) in profile.milliseconds() {
        table::say(format_args!("{:>10.3} ms a step: {part}", ms / steps as f64))?;
    }
    Ok(())
}

fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::try_from(text.to_owned())
}
