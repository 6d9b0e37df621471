//! `croloss bench rank`.

use anyhow::Result;
use serde_json::json;

use super::common::{MachineOptions, most_memory, say_json};
use crate::bench::RankBench;
use crate::cli::device::note_missing_gpu;
use crate::cli::table;
use crate::device;

/// Users a second of exact ranking
#[derive(clap::Args)]
pub struct Rank {
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
    machine: MachineOptions,
}

impl Rank {
    pub fn run(self) -> Result<()> {
        device::use_threads(self.machine.threads);
        note_missing_gpu(self.machine.device);
        let device = device::open(self.machine.device)?;
        let bench = RankBench {
            items: self.items as usize,
            users: self.users as usize,
            targets: self.targets as usize,
            dim: 32,
            device,
        };
        let rate = bench.run()?;
        if self.machine.json {
            let measured = json!({
                "items": self.items,
                "users": self.users,
                "targets": self.targets,
                "users_per_second": rate,
            });
            return say_json(measured, device);
        }
        table::say(format_args!("{rate:.0} users a second, {}", most_memory(device)))
    }
}
