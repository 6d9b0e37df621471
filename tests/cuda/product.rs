//! Steps on a GPU come to what they come to by the same tensor ops on a CPU: every encoder, every
//! loss, every kind of sample, every source of candidates, every optimiser.

use croloss::batch::Drawer;
use croloss::config::{Config, DeviceChoice, EncoderConfig, Samples, Settings, TransformerLayer};
use croloss::data::Sequences;
use croloss::device;
use croloss::model::Model;
use croloss::random::{Purpose, stream};
use croloss::step::{Plan, Stepper};
use rand::RngExt;
use tch::{Device, Tensor};

use super::features::{FIELDS, known};
use super::machine;
use super::parts::{LOSSES, ORDERS, REJECTS, SOURCES};

const ITEMS: usize = 40;
const STEPS: u64 = 3;

/// Dropout is drawn otherwise on a GPU.
const ENCODERS: [&str; 4] = [
    "\"mean-pool\"",
    "\"transformer\"\ndropout = 0.0",
    "\"transformer\"\ndropout = 0.0\nlayer = \"ligr\"",
    "\"gru\"\ndropout = 0.0",
];

/// These go round, one further with each point.
const TOWERS: [&str; 4] = [
    "normalize = true",
    "normalize = true\nrepeats = true",
    "normalize = false\ntied = false\noutput_bias = true\nactivation = \"elu\"",
    FIELDS,
];
const OPTIMIZERS: [&str; 4] = [
    "kind = \"deferred-adam\"",
    "kind = \"deferred-adam\"\nepsilon_form = \"pytorch\"\nepsilon = 1e-3",
    "kind = \"adam\"",
    "kind = \"adagrad\"",
];

/// Of 20 users, with items of a catalogue of `items`.
pub fn sequences(items: usize) -> Sequences {
    let mut rng = stream(8, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..20 {
        let length = rng.random_range(3..9);
        all.items.extend((0..length).map(|_| rng.random_range(1..items as u32)));
        all.offsets.push(all.items.len());
    }
    all
}

fn points() -> Vec<Config> {
    let mut points = vec![];
    let mut at: usize = 0;
    for encoder in ENCODERS {
        for loss in LOSSES {
            for samples in ["users", "positions"] {
                for source in SOURCES {
                    at += 1;
                    // One further with each loss: each source meets all of them.
                    let tower = TOWERS[(at + at / 8) % 4];
                    let reject = match REJECTS[at / 3 % 3] {
                        "session" if tower.contains("repeats") => "label",
                        reject => reject,
                    };
                    let (optimizer, order) = (OPTIMIZERS[at / 4 % 4], ORDERS[at / 7 % 3]);
                    let top_k = 4 * (at / 5 % 2);
                    let text = format!(
                        "data.path = \"\"\n[tower]\nencoder = {encoder}\ndim = 4\nhistory = 5\n{tower}\n[sampling]\nsamples = \"{samples}\"\nbatch = 6\ntop_k = {top_k}\nreject = \"{reject}\"\norder = \"{order}\"\nnegatives = [{source}]\n[loss]\n{loss}\n[optimizer]\nlearning_rate = 0.01\n{optimizer}\n[train]\nfused = false\n"
                    );
                    let mut config =
                        toml::from_str::<Settings>(&text).unwrap().checked().expect(&text);
                    if config.sampling.samples == Samples::Users {
                        config.sampling.first_position = 1;
                    }
                    points.push(config);
                }
            }
        }
    }
    points
}

/// The loss of each step, and the weights behind the last.
fn outcome(config: &Config, sequences: &Sequences, device: Device) -> Vec<Tensor> {
    let plan = Plan::of(config, device);
    let (members, assembly) = ((0..sequences.len()).collect(), plan.assembly(config));
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, ITEMS).unwrap();
    let known = known(config, ITEMS, sequences.len());
    let drawer = drawer.knowing(&known, config.tower.id_dropout);
    let model = Model::new(&config.tower, ITEMS, config.seed, device).knowing(&known, config.seed);
    let mut stepper = Stepper::new(config, &plan, &model, STEPS, || drawer.log_counts());
    let mut all = drawer.run(0..STEPS, |next| -> Vec<Tensor> {
        (0..STEPS).map(|step| stepper.step(&model, &next(), step)).collect()
    });
    stepper.catch_up();
    all.extend(model.snapshot().into_iter().map(|(name, weight)| match name {
        "encoder.attend.bias" => without_keys(&weight),
        _ => weight,
    }));
    all.iter().map(|own| own.to_device(Device::Cpu)).collect()
}

/// The biases of attention's queries and values: the gradient of its keys' is zero, and what rounding
/// leaves of it moves them as far as Adam moves anything.
fn without_keys(biases: &Tensor) -> Tensor {
    let parts = biases.chunk(3, 1);
    Tensor::cat(&[&parts[0], &parts[2]], 1)
}

#[test]
fn everything_comes_to_the_same_on_a_gpu() {
    machine::inner("product::walk");
}

/// Without kernels of the program's own: by the operations that a CPU takes.
#[test]
fn everything_comes_to_the_same_by_tensor_ops_alone() {
    if machine::pretended().is_some() {
        let mut walk = machine::inner_command("product::walk");
        machine::succeed(walk.env("PRETENDED_CUDA_NVRTC", "0"));
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn walk() {
    let gpu = device::open(DeviceChoice::Cuda(Some(0))).unwrap();
    device::use_threads(1);
    let sequences = sequences(ITEMS);
    let (mut equal, mut plain) = (0, 0);
    let points = points();
    for config in &points {
        let [cpu, own] = [Device::Cpu, gpu].map(|device| outcome(config, &sequences, device));
        assert_eq!(cpu.len(), own.len());
        for (a, b) in cpu.iter().zip(&own) {
            let text = || toml::to_string(config).unwrap();
            assert!(a.allclose(b, 1e-3, 1e-4, false), "{a:?} and {b:?}: {}", text());
        }
        // Gates are vectors of sigmoids, whose last digit depends on how they lie in memory.
        let layer = match config.tower.encoder {
            EncoderConfig::Transformer { layer, .. } => Some(layer),
            _ => None,
        };
        if !matches!(layer, Some(TransformerLayer::Ligr { .. })) {
            plain += 1;
            equal += usize::from(cpu.iter().zip(&own).all(|(a, b)| a.equal(b)));
        }
    }
    println!("{equal} of {plain} to the bit");
    if device::why_no_kernels(gpu).is_some() {
        // What operations compute is the same; only batches that are cut on the device lie otherwise.
        assert!(plain > points.len() / 2 && equal >= 3 * plain / 5, "{equal} of {plain}");
    }
}
