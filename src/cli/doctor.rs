//! `croloss doctor`.

use anyhow::{Result, bail};
use serde_json::json;
use tch::Device;

use super::table;
use crate::device;
use crate::doctor::{Check, Checks, Machine, STEPS, check};
use crate::step::StepPath;

/// Says what this machine has for a training, and checks that its devices compute the same
///
/// Takes the same training steps on a generated log in loops on the CPU, by tensor ops on the CPU and
/// on every GPU. Ends with exit status 1 where they differ or fail, where a GPU refuses the program's
/// own kernels, or where there is a driver but no GPU.
#[derive(clap::Args)]
pub struct Doctor {
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Result<()> {
        let machine = Machine::look();
        let gpus = machine.gpus.len();
        if !self.json {
            say_machine(&machine)?;
            table::say(format_args!("\n{STEPS} training steps, the same ones on each:"))?;
        }
        let json = self.json;
        let Checks { done: checks, failed: mut problems } = check(gpus, &mut |check| {
            if !json {
                // A check that cannot be told of ends none of the others.
                let _ = table::say(line(check));
            }
        })?;
        let others = checks.iter().filter(|check| !check.agrees).map(name);
        let told = |name: String| format!("the losses of {name} are not those of the CPU's loops");
        problems.extend(others.map(told));
        problems.extend((0..gpus).map(Device::Cuda).filter_map(|gpu| {
            let why = device::why_no_kernels(gpu)?;
            Some(format!("steps on {} go by tensor ops alone: {why}", device::name(gpu)))
        }));
        problems.extend(device::why_no_gpu().map(|why| format!("no GPU is used: {why}")));
        if self.json {
            table::say(json!({ "machine": machine, "checks": checks, "problems": problems }))?;
        }
        match problems.is_empty() {
            true if self.json => Ok(()),
            true => table::say("All is well."),
            false => bail!("{}", problems.join("; ")),
        }
    }
}

fn say_machine(machine: &Machine) -> Result<()> {
    let gib = |mib: u64| format!("{:.1} GiB", mib as f64 / 1024.0);
    let cuda = machine.cuda.as_ref();
    let built = cuda.map_or_else(|| "without CUDA".into(), |cuda| format!("for CUDA {cuda}"));
    let mut rows = vec![
        ["croloss".to_owned(), format!("{} ({})", machine.version, machine.commit)],
        ["libtorch".to_owned(), format!("{}, {built}", machine.libtorch)],
        ["driver".to_owned(), machine.driver.clone().unwrap_or_else(|| "none for a GPU".into())],
    ];
    rows.extend(machine.gpus.iter().enumerate().map(|(at, gpu)| {
        let memory = format!("{}, {} free", gib(gpu.memory_mib), gib(gpu.free_mib));
        [format!("GPU {at}"), format!("{}, {memory}", gpu.name)]
    }));
    rows.push(["threads".to_owned(), machine.threads.to_string()]);
    rows.push(["vector instructions".to_owned(), machine.vectors.to_owned()]);
    rows.push(["free memory".to_owned(), gib(machine.free_memory_mib)]);
    if let Some(free) = machine.free_disk_mib {
        rows.push(["free disk".to_owned(), gib(free)]);
    }
    table::print(rows)
}

fn name(check: &Check) -> String {
    let path = match check.path {
        StepPath::TensorOps => "tensor ops",
        StepPath::HostLoops | StepPath::MeanPoolLoops => "loops",
    };
    format!("{} by {path}", check.device)
}

fn line(check: &Check) -> String {
    let Check { losses: [first, last], milliseconds, operations, agrees, .. } = check;
    let verdict = if *agrees { "ok" } else { "WRONG" };
    format!(
        "{:<20} loss {first:.4} to {last:.4}  {milliseconds:.2} ms and {operations} operations a step  \
         {verdict}",
        name(check)
    )
}
