//! Everything goes with everything: each encoder with each loss, each kind of sample, each source of
//! candidates, top-k or all, tied tables or not; by loops and by tensor ops the same losses.

use rand::RngExt;
use tch::{Device, Tensor};

use super::parts::{LOSSES, ORDERS, REJECTS, SOURCES};
use crate::batch::Drawer;
use crate::config::{Config, Samples, Settings};
use crate::data::Sequences;
use crate::model::Model;
use crate::random::{Purpose, stream};
use crate::step::{Plan, Stepper};

const ITEMS: usize = 40;
const STEPS: u64 = 3;

/// Those of one kind go round.
const ENCODERS: [&[&str]; 3] = [
    &["encoder = \"mean-pool\""],
    &[
        "encoder = \"transformer\"\nlayers = 1\ndropout = 0.1",
        "encoder = \"transformer\"\nlayers = 1\ndropout = 0.1\nlayer = \"ligr\"\nwidening = 2",
    ],
    &["encoder = \"gru\"\ndropout = 0.1"],
];

const TOWERS: [&str; 2] = [
    "normalize = true",
    "normalize = false\ntied = false\noutput_bias = true\nactivation = \"elu\"",
];

/// Beside what a point of the product says, these go round: any of them meets any other.
const OPTIMIZERS: [&str; 3] = ["deferred-adam", "adam", "adagrad"];

fn sequences() -> Sequences {
    let mut rng = stream(8, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..20 {
        let length = rng.random_range(3..9);
        all.items.extend((0..length).map(|_| rng.random_range(1..=ITEMS as u32)));
        all.offsets.push(all.items.len());
    }
    all
}

/// The loss of each step.
fn losses(config: &Config, sequences: &Sequences, device: Device) -> Vec<f64> {
    let plan = Plan::of(config, device);
    let members = (0..sequences.len()).collect();
    let assembly = plan.assembly(config);
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, ITEMS).unwrap();
    let model = Model::new(&config.tower, ITEMS, config.seed, device);
    let mut stepper = Stepper::new(config, &plan, &model, STEPS, || drawer.log_counts());
    let losses = drawer.run(0..STEPS, |next| -> Vec<Tensor> {
        (0..STEPS).map(|step| stepper.step(&model, &next(), step)).collect()
    });
    stepper.catch_up();
    let finite = |(_, weight): &(_, Tensor)| weight.isfinite().all().int64_value(&[]) == 1;
    assert!(model.weights().iter().all(finite));
    losses.iter().map(|loss| loss.double_value(&[])).collect()
}

#[test]
fn every_encoder_goes_with_every_loss_and_every_sampler_by_either_path() {
    tch::set_num_threads(1);
    let sequences = sequences();
    let mut point: usize = 0;
    for encoders in ENCODERS {
        for loss in LOSSES {
            for samples in ["users", "positions"] {
                for source in SOURCES {
                    for top_k in [0, 4] {
                        for tower in TOWERS {
                            // Each choice above meets both.
                            let repeats = point.count_ones() % 2 == 1;
                            let reject = match REJECTS[point % 3] {
                                "session" if repeats => "label",
                                reject => reject,
                            };
                            let optimizer = OPTIMIZERS[point / 3 % 3];
                            let order = ORDERS[point / 9 % 3];
                            let encoder = encoders[point / 27 % encoders.len()];
                            point += 1;
                            let text = format!(
                                "data.path = \"\"\n[tower]\ndim = 4\nhistory = 5\nrepeats = {repeats}\n{encoder}\n{tower}\n[sampling]\nsamples = \"{samples}\"\nbatch = 6\ntop_k = {top_k}\nreject = \"{reject}\"\norder = \"{order}\"\nnegatives = [{source}]\n[loss]\n{loss}\n[optimizer]\nkind = \"{optimizer}\"\nlearning_rate = 0.01\n"
                            );
                            let settings = toml::from_str::<Settings>(&text).unwrap();
                            let mut config = settings.checked().unwrap();
                            if config.sampling.samples == Samples::Users {
                                config.sampling.first_position = 1;
                            }
                            let by_loops = losses(&config, &sequences, Device::Cpu);
                            config.train.fused = false;
                            let by_tensors = losses(&config, &sequences, Device::Cpu);
                            for (a, b) in by_loops.iter().zip(&by_tensors) {
                                let near = (a - b).abs() <= 1e-3 * (1.0 + b.abs());
                                assert!(
                                    a.is_finite() && near,
                                    "{text}: {by_loops:?} {by_tensors:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
