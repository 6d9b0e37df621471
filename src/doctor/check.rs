//! The same training steps on everything that could take them, and whether they come to the same.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use serde::Serialize;
use tch::Device;

use crate::bench::{StepTimes, WARM_UP, taken};
use crate::config::{Config, from_table};
use crate::data::{Dataset, Preset, Rules, Source, Split, SplitRule, generate, prepare};
use crate::device;
use crate::step::{Plan, StepPath};

/// Steps of each.
pub const STEPS: u64 = 200;

/// Steps at the end whose mean loss is compared.
const COMPARED: usize = 20;

/// The part of itself by which a loss may differ: sums in another order, over all steps, come to
/// some 1e-5; a wrong gradient to some 1e-1.
const TOLERANCE: f64 = 1e-3;

/// What the steps came to in one place.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `cpu`, `cuda:0`
    pub device: String,
    pub path: StepPath,
    /// The mean of the first steps, and of the last.
    pub losses: [f64; 2],
    /// The median of a step; on a GPU of the mean of some in a row.
    pub milliseconds: f64,
    /// Of libtorch, and kernels of our own, a step: on a GPU each is a launch or a few.
    pub operations: usize,
    /// Whether the last loss is that of the first check.
    pub agrees: bool,
}

/// What all checks came to.
pub struct Checks {
    pub done: Vec<Check>,
    /// Which could not be done, and why.
    pub failed: Vec<String>,
}

/// Takes the steps in loops on the CPU, by tensor ops on the CPU, and by tensor ops on each of
/// `gpus` GPUs: a two-tower model with CROLoss on a generated log, all on the same batches.
/// `observe` hears of each as it is done; where one fails the others are taken all the same.
///
/// # Errors
/// A temporary folder that cannot be written.
pub fn check(gpus: usize, observe: &mut dyn FnMut(&Check)) -> Result<Checks> {
    let dataset = demo()?;
    let host = [true, false].map(|fused| (fused, Device::Cpu));
    let mut all = Checks { done: vec![], failed: vec![] };
    for (fused, device) in host.into_iter().chain((0..gpus).map(|at| (true, Device::Cuda(at)))) {
        let config = config(fused)?;
        // What CUDA refuses comes as a panic.
        let taken = catch_unwind(AssertUnwindSafe(|| steps(&config, &dataset, device)));
        let why = match taken {
            Ok(Ok(mut done)) => {
                if let Some(first) = all.done.first() {
                    let apart = (done.losses[1] - first.losses[1]).abs();
                    done.agrees = apart <= TOLERANCE * first.losses[1].abs();
                }
                observe(&done);
                all.done.push(done);
                continue;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => said(panic.as_ref()),
        };
        all.failed.push(format!("{} failed: {why}", device::name(device)));
    }
    Ok(all)
}

/// The first line of what a panic said; libtorch's go on with a trace of C++.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn config(fused: bool) -> Result<Config> {
    let mut settings = from_table(
        toml::toml! {
            [data]
            path = ""
            [sampling]
            order = "shuffled"
        },
        "doctor",
    )?;
    settings.train.fused = fused;
    settings.checked()
}

fn demo() -> Result<Dataset> {
    let file = std::env::temp_dir().join(format!("croloss-doctor-{}.csv", std::process::id()));
    let name = |name: &str| Some(name.to_owned());
    let read = generate(&Preset::Demo.size(), 1, &file, &mut |_| ()).and_then(|_| {
        let (user, item, time) = (name("user"), name("item"), name("time"));
        let files = vec![file.clone()];
        Source { files, user, item, time, ..Source::default() }.read(&mut |_| ())
    });
    let _ = std::fs::remove_file(&file);
    prepare("demo", read?, &Rules::default(), &SplitRule::default())
}

fn steps(config: &Config, dataset: &Dataset, device: Device) -> Result<Check> {
    let plan = Plan::of(config, device);
    let (sequences, items) = (dataset.training(), dataset.item_count());
    let users = dataset.users_of(Split::Train);
    let times = taken(config, &plan, &sequences, users, items, items, STEPS - WARM_UP)?;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let StepTimes { milliseconds, losses, operations, .. } = times;
    let (first, last) = (&losses[..COMPARED], &losses[losses.len() - COMPARED..]);
    Ok(Check {
        device: device::name(device),
        path: plan.step,
        losses: [mean(first), mean(last)],
        milliseconds,
        operations: operations.len(),
        agrees: losses.iter().all(|loss| loss.is_finite()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_tensor_ops_come_to_the_same_and_learn() {
        let mut heard = 0;
        let Checks { done: checks, failed } = check(0, &mut |_| heard += 1).unwrap();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!((checks.len(), heard), (2, 2));
        for check in &checks {
            let [first, last] = check.losses;
            assert!(check.agrees && last < 0.9 * first, "{check:?}");
        }
        assert_eq!(
            [checks[0].path, checks[1].path],
            [StepPath::MeanPoolLoops, StepPath::TensorOps]
        );
        assert!(checks[0].operations < checks[1].operations);
        assert_ne!(checks[0].losses, checks[1].losses, "one was compared with itself");
    }
}
