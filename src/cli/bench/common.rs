//! What the benchmarks share: options, and how they print.

use anyhow::Result;
use serde_json::Value;
use tch::Device;

use crate::cli::device::{device_choice, threads};
use crate::cli::table;
use crate::config::DeviceChoice;
use crate::device;
use crate::profile::Profile;
use crate::train::peak_memory_mib;

/// Options of every benchmark.
#[derive(clap::Args)]
pub struct MachineOptions {
    /// CPU threads; 0: one for every core
    #[arg(long, default_value_t = 0, value_parser = threads())]
    pub threads: u32,
    /// cpu, cuda, cuda:1; auto takes the first GPU if there is one
    #[arg(long, default_value = "auto", value_parser = device_choice)]
    pub device: DeviceChoice,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of every benchmark of a training step.
#[derive(clap::Args)]
pub struct StepOptions {
    /// Steps that are measured
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Take the tensor ops that run on a GPU instead of the loops for a CPU
    #[arg(long)]
    pub tensors: bool,
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// Prints one line of JSON: what was `measured`, an object, and on what machine.
///
/// # Errors
/// Those of [`table::say`].
pub fn say_json(mut measured: Value, device: Device) -> Result<()> {
    measured["program"] = "croloss".into();
    measured["threads"] = rayon::current_num_threads().into();
    measured["device"] = device::name(device).into();
    measured["peak_rss_mib"] = peak_memory_mib().into();
    measured["peak_gpu_mib"] = device::peak_memory_mib(device).into();
    table::say(measured)
}

/// The most memory that was held, of the host and of a GPU, in words.
pub fn most_memory(device: Device) -> String {
    let gpu = device::peak_memory_mib(device).map(|mib| format!(", {mib} MiB of the GPU's"));
    format!("{} MiB at most{}", peak_memory_mib(), gpu.unwrap_or_default())
}

/// Prints how long each part of a step took.
///
/// # Errors
/// Those of [`table::say`].
pub fn say_profile(profile: &Profile, steps: u64) -> Result<()> {
    for (part, ms) in profile.milliseconds() {
        table::say(format_args!("{:>10.3} ms a step: {part}", ms / steps as f64))?;
    }
    Ok(())
}
