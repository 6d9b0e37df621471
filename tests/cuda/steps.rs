//! What a training step asks of a GPU: launches, copies, waits, memory. These are counts of the
//! pretended device, where one operation of libtorch is one launch; they say nothing of its speed.

use std::ops::Range;
use std::process::Command;

use croloss::batch::{Batch, Drawer};
use croloss::config::{Config, DeviceChoice, Settings};
use croloss::data::Sequences;
use croloss::device;
use croloss::model::Model;
use croloss::random::{Purpose, stream};
use croloss::step::{Plan, Stepper};
use rand::RngExt;

use super::counts::{self, Counts, OfThread};
use super::features::{FIELDS, known};
use super::machine;

const ITEMS: usize = 2000;
const STEPS: usize = 8;

/// The CROLoss paper's model, and TRON's, of few numbers.
const USERS: &str = "[loss]\nkind = \"cro-lambda\"\n[sampling]\nbatch = 64\n";
const SESSIONS: &str = "[tower]\nencoder = \"transformer\"\ndim = 16\nlayers = 2\ndropout = 0.2\n[loss]\nkind = \"ssm\"\n[sampling]\nsamples = \"positions\"\nbatch = 16\ntop_k = 10\nnegatives = [{ from = \"uniform\", count = 256, per = \"batch\" }, { from = \"in-batch\", count = 20, per = \"session\" }]\n";

fn config(text: &str) -> Config {
    let text = format!("data.path = \"\"\n{text}");
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

fn sequences() -> Sequences {
    let mut rng = stream(8, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..200 {
        let length = rng.random_range(6..20);
        all.items.extend((0..length).map(|_| rng.random_range(1..=ITEMS as u32)));
        all.offsets.push(all.items.len());
    }
    all
}

/// Takes steps, after each of which the counts are written. All batches are drawn before and kept
/// until the end, so that the memory of a step is its own.
fn take(text: &str) {
    let config = config(text);
    let gpu = device::open(DeviceChoice::Cuda(None)).unwrap();
    let (plan, sequences) = (Plan::of(&config, gpu), sequences());
    let (members, assembly) = ((0..sequences.len()).collect(), plan.assembly(&config));
    let drawer = Drawer::new(&config, plan.batches, assembly, &sequences, members, ITEMS).unwrap();
    let known = known(&config, ITEMS, sequences.len());
    let drawer = drawer.knowing(&known, config.tower.id_dropout);
    let model = Model::new(&config.tower, ITEMS, config.seed, gpu).knowing(&known, config.seed);
    let mut stepper = Stepper::new(&config, &plan, &model, STEPS as u64, || drawer.log_counts());
    drawer.run(0..STEPS as u64, |next| {
        let batches: Vec<Batch> = (0..STEPS).map(|_| next()).collect();
        device::synchronize(gpu);
        for (batch, step) in batches.iter().zip(0..) {
            let _ = stepper.step(&model, batch, step);
            device::synchronize(gpu);
        }
    });
}

#[test]
#[ignore = "run by the tests below in a process that finds CUDA"]
fn of_users() {
    take(USERS);
}

#[test]
#[ignore = "run by the tests below in a process that finds CUDA"]
fn of_sessions() {
    take(SESSIONS);
}

#[test]
#[ignore = "run by the tests below in a process that finds CUDA"]
fn of_features() {
    take(&format!("[tower]\n{FIELDS}\n{USERS}"));
}

/// What the last step asked for, and drawing a batch on average: launches, and copies from pinned
/// memory.
fn counts(test: &str) -> (OfThread, [f64; 2]) {
    counts_of(&mut machine::inner_command(test))
}

/// The counts before the first step, and after each.
fn waits(command: &mut Command) -> Vec<Counts> {
    let lines = counts::waits(command);
    assert_eq!(lines.len(), STEPS + 1);
    lines
}

fn counts_of(command: &mut Command) -> (OfThread, [f64; 2]) {
    let waits = waits(command);
    let [before, last] = [STEPS - 1, STEPS].map(|at| waits[at].but("batches"));
    let mut step = last.since(&before);
    // That is the wait for the end of the step.
    step.synchronizations -= 1;
    let batches = waits[STEPS].thread("batches");
    assert_eq!((batches.to_device_pageable, batches.synchronizations), (0, 0), "{batches:?}");
    // All of it is on one stream, and so in the order in which it was asked for.
    assert_eq!((step.on_other_streams, batches.on_other_streams), (0, 0));
    let of_batch = [batches.launches, batches.to_device_pinned];
    (step, of_batch.map(|count| count as f64 / STEPS as f64))
}

/// Neither waits nor copies of pageable memory; one copy for a batch, one of Adam's tails.
fn check(step: &OfThread, of_batch: [f64; 2], most: f64) {
    println!("{step:?}\nand a batch {of_batch:?}");
    assert_eq!((step.synchronizations, step.to_device_pageable), (0, 0), "{step:?}");
    assert_eq!((step.to_host_pageable, step.to_host_pinned), (0, 0), "{step:?}");
    assert_eq!((step.to_device_pinned, of_batch[1]), (1, 1.0), "{step:?}");
    assert!(step.launches as f64 + of_batch[0] <= most, "{step:?} and {of_batch:?}");
}

#[test]
fn a_step_of_users_waits_for_nothing() {
    if machine::pretended().is_some() {
        let (step, of_batch) = counts("steps::of_users");
        check(&step, of_batch, 47.0);
    }
}

#[test]
fn a_step_of_sessions_waits_for_nothing() {
    if machine::pretended().is_some() {
        let (step, of_batch) = counts("steps::of_sessions");
        assert_eq!(of_batch[0], 0.0);
        check(&step, of_batch, 103.0);
    }
}

/// A batch is sent in three parts: its own, what its items are composed of, its users.
#[test]
fn a_step_of_items_and_users_with_features_waits_for_nothing() {
    if machine::pretended().is_some() {
        let (step, of_batch) = counts("steps::of_features");
        println!("{step:?}\nand a batch {of_batch:?}");
        assert_eq!((step.synchronizations, step.to_device_pageable), (0, 0), "{step:?}");
        assert_eq!((step.to_host_pageable, step.to_host_pinned), (0, 0), "{step:?}");
        // One of Adam's tails for each of the three tables.
        assert_eq!((step.to_device_pinned, of_batch[1]), (3, 3.0), "{step:?}");
        assert!(step.launches as f64 + of_batch[0] <= 88.0, "{step:?} and {of_batch:?}");
    }
}

/// Where NVRTC is missing tensor ops do.
#[test]
fn a_step_needs_no_kernels() {
    if machine::pretended().is_some() {
        let mut command = machine::inner_command("steps::of_users");
        let (step, of_batch) = counts_of(command.env("PRETENDED_CUDA_NVRTC", "0"));
        check(&step, of_batch, 180.0);
        assert!(step.launches > 90, "{step:?}");
    }
}

/// The batches of users are all of one shape, and so are the steps.
#[test]
fn steps_of_users_take_the_same_memory_one_after_the_other() {
    if machine::pretended().is_some() {
        let waits = waits(&mut machine::inner_command("steps::of_users"));
        let peaks: Vec<u64> = waits[1..].iter().map(|wait| wait.peak_since[0]).collect();
        println!("{peaks:?}");
        // libtorch's own thread may let go of a gradient late: of some steps the least counts.
        let least = |steps: Range<usize>| peaks[steps].iter().min();
        assert_eq!(least(2..5), least(5..STEPS), "{peaks:?}");
    }
}
