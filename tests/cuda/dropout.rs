//! Dropout on a GPU where libtorch draws for it: for GRU, and for a part of LiGR layers, for whose
//! other part kernels of our own draw.

use std::collections::HashMap;

use croloss::batch::Drawer;
use croloss::config::{Config, Settings};
use croloss::data::Sequences;
use croloss::device;
use croloss::model::{Draws, Dropout, Layout, Model};
use croloss::step::{Plan, Stepper};
use tch::{Device, Kind, Tensor};

use super::fused::{mask, numbers};
use super::machine::{self, gpu};

const ITEMS: usize = 40;
const DIM: i64 = 8;
const RATE: f64 = 0.3;

/// Histories, all of them as long as an encoder reads.
const HISTORIES: i64 = 30;
const HISTORY: i64 = 6;
const POSITIONS: i64 = HISTORIES * HISTORY;

const GRU: &str = "\"gru\"";
const LIGR: &str = "\"transformer\"\nlayer = \"ligr\"";

fn config(encoder: &str, rate: f64) -> Config {
    let text = format!(
        "data.path = \"\"\n[tower]\nencoder = {encoder}\ndim = {DIM}\nhistory = {HISTORY}\ndropout = {rate:?}\n[sampling]\nsamples = \"positions\"\nbatch = 10\nnegatives = [{{ from = \"uniform\", count = 30, per = \"batch\" }}]\n[loss]\nkind = \"cross-entropy\"\n[optimizer]\nlearning_rate = 0.02\n"
    );
    toml::from_str::<Settings>(&text).unwrap().checked().expect(&text)
}

fn model(config: &Config, device: Device) -> Model {
    Model::new(&config.tower, ITEMS, config.seed, device)
}

/// `[POSITIONS, DIM]`, of which gradients are asked for.
fn rows(device: Device) -> Tensor {
    numbers(&[POSITIONS, DIM], 1).to_device(device).set_requires_grad(true)
}

fn layout(device: Device) -> Layout {
    Layout::packed(&[HISTORY as usize; HISTORIES as usize], device)
}

fn dropout() -> Dropout {
    Dropout::new(5, 7, 0, Draws::Device)
}

#[test]
fn dropout_is_where_the_definition_has_it() {
    machine::inner("dropout::defined");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn defined() {
    same(GRU, |rows, model, out| {
        // Of the last layer what is left is to be seen.
        let left = out.ne(0.0).to_kind(Kind::Float);
        let share = left.mean(Kind::Float).double_value(&[]);
        assert!((share - (1.0 - RATE)).abs() < 0.05, "{share}");
        let whole = model.encoder.positions(rows, &layout(Device::Cpu), None);
        whole * left / (1.0 - RATE)
    });
    same(LIGR, |rows, model, _| ligr(rows, model));
}

/// That an encoder with dropout on a GPU comes to what `expected` makes on the CPU, of rows, of the
/// model of the same weights, and of what came out; and so do the gradients.
fn same(encoder: &str, expected: impl Fn(&Tensor, &Model, &Tensor) -> Tensor) {
    let config = config(encoder, RATE);
    let of = |device| (rows(device), model(&config, device));
    let (rows, model) = of(gpu());
    let out = model.encoder.positions(&rows, &layout(gpu()), Some(&dropout()));
    let mut found = gradients(&out, &rows, &model);
    found.push(out.detach().to_device(Device::Cpu));
    let (rows, model) = of(Device::Cpu);
    let out = expected(&rows, &model, &found[found.len() - 1]);
    let mut defined = gradients(&out, &rows, &model);
    defined.push(out);
    assert_eq!(found.len(), defined.len());
    for (at, (a, b)) in defined.iter().zip(&found).enumerate() {
        assert!(a.allclose(b, 1e-3, 1e-4, false), "{encoder}, {at}: {a} and {b}");
    }
}

/// What the encoder's parameters and `rows` get from a sum of what it gives, weighed.
fn gradients(out: &Tensor, rows: &Tensor, model: &Model) -> Vec<Tensor> {
    let weights = numbers(&out.size(), 3).to_device(out.device());
    let parameters = model.encoder.parameters().into_iter().map(|(_, own)| own);
    let leaves: Vec<Tensor> = parameters.chain([rows.shallow_clone()]).collect();
    let sum = (out * weights).sum(Kind::Float);
    let all = Tensor::run_backward(&[sum], &leaves, false, false);
    all.iter().map(|own| own.to_device(Device::Cpu)).collect()
}

/// LiGR layers with one head, by their definition, with what [`dropout`] leaves on a GPU.
fn ligr(rows: &Tensor, model: &Model) -> Tensor {
    let drawn = dropout();
    let by_kernel = |size: &[i64]| mask(size, drawn.drops(RATE));
    let by_libtorch = |width: i64| {
        let ones = Tensor::ones([POSITIONS, width], (Kind::Float, gpu()));
        drawn.apply(&ones, RATE).to_device(Device::Cpu)
    };
    let weights: HashMap<&str, Tensor> = model.encoder.parameters().into_iter().collect();
    let of_layer = |name: &str, at: i64| {
        let of_layers = |what: &str| weights.get(format!("encoder.{name}.{what}").as_str());
        ["weight", "bias"].map(|what| of_layers(what).map(|own| own.get(at)))
    };
    let linear = |x: &Tensor, name: &str, at: i64| {
        let [weight, bias] = of_layer(name, at);
        x.linear(&weight.unwrap(), bias)
    };
    let norm = |x: &Tensor, [weight, bias]: [Option<Tensor>; 2]| {
        x.layer_norm([DIM], weight, bias, 1e-5, false)
    };
    let positions = weights["encoder.positions"].repeat([HISTORIES, 1]);
    let mut x = (rows * (DIM as f64).sqrt() + positions) * by_kernel(&[POSITIONS, DIM]);
    let later = Tensor::ones([HISTORY, HISTORY], (Kind::Bool, Device::Cpu)).triu(1);
    for at in 0..weights["encoder.attend.weight"].size()[0] {
        let attended = linear(&norm(&x, of_layer("norm1", at)), "attend", at);
        let parts = attended.view([HISTORIES, HISTORY, 3 * DIM]).chunk(3, 2);
        let scores = parts[0].matmul(&parts[1].transpose(1, 2)) / (DIM as f64).sqrt();
        let shares = scores.masked_fill(&later, f64::NEG_INFINITY).softmax(-1, Kind::Float);
        let shares = shares * by_kernel(&[HISTORIES, HISTORY, HISTORY]);
        let seen = shares.matmul(&parts[2]).reshape([POSITIONS, DIM]);
        let added = linear(&seen, "combine", at) * by_libtorch(DIM);
        x = &x + linear(&x, "gate1", at).sigmoid() * added;
        let read = norm(&x, of_layer("norm2", at));
        let wide = linear(&read, "swish", at).silu() * linear(&read, "widen", at);
        let wide = &wide * by_libtorch(wide.size()[1]);
        let added = linear(&wide, "narrow", at) * by_libtorch(DIM);
        x = &x + linear(&x, "gate2", at).sigmoid() * added;
    }
    let last = ["encoder.norm.weight", "encoder.norm.bias"];
    norm(&x, last.map(|name| Some(weights[name].shallow_clone())))
}

const STEPS: u64 = 60;

/// Sessions in which each item is followed by the next one.
fn sequences() -> Sequences {
    let length = HISTORY as usize + 1;
    let session = |first: usize| (first..first + length).map(|at| (at % ITEMS) as u32 + 1);
    Sequences {
        items: (0..ITEMS).flat_map(session).collect(),
        offsets: (0..=ITEMS).map(|session| session * length).collect(),
    }
}

/// What the first `steps` steps come to: the loss of each, and the weights behind the last.
fn trained(config: &Config, steps: u64) -> (Vec<f64>, Vec<Tensor>) {
    let (plan, sequences) = (Plan::of(config, gpu()), sequences());
    let (members, assembly) = ((0..sequences.len()).collect(), plan.assembly(config));
    let drawer = Drawer::new(config, plan.batches, assembly, &sequences, members, ITEMS).unwrap();
    let model = model(config, plan.device);
    let mut stepper = Stepper::new(config, &plan, &model, STEPS, || drawer.log_counts());
    let losses = drawer.run(0..steps, |next| -> Vec<Tensor> {
        (0..steps).map(|step| stepper.step(&model, &next(), step)).collect()
    });
    stepper.catch_up();
    let weights = model.snapshot().into_iter().map(|(_, own)| own.to_device(Device::Cpu));
    (losses.iter().map(|loss| loss.double_value(&[])).collect(), weights.collect())
}

#[test]
fn trainings_with_dropout_learn_and_draw_by_seed_and_step() {
    machine::inner("dropout::trainings");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn trainings() {
    let gpu = gpu();
    device::use_threads(1);
    for encoder in [GRU, LIGR] {
        let config = config(encoder, RATE);
        let (rows, layout, model) = (rows(gpu), layout(gpu), model(&config, gpu));
        let with = |seed, step| {
            let dropout = Dropout::new(seed, step, 0, Draws::Device);
            model.encoder.positions(&rows, &layout, Some(&dropout))
        };
        assert_eq!(with(3, 1), with(3, 1), "{encoder}");
        assert_ne!(with(3, 1), with(4, 1), "{encoder}");
        assert_ne!(with(3, 1), with(3, 2), "{encoder}");

        let (losses, weights) = trained(&config, STEPS);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{encoder}: {losses:?}");
        let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len() as f64;
        let (first, last) = (mean(&losses[..10]), mean(&losses[losses.len() - 10..]));
        assert!(last < 0.9 * first, "{encoder}: {losses:?}");
        // The same batch at the same weights.
        let (without, _) = trained(&self::config(encoder, 0.0), 1);
        assert!((losses[0] - without[0]).abs() > 1e-5, "{encoder}: {losses:?} and {without:?}");
        if machine::pretended().is_some() {
            assert!(trained(&config, STEPS) == (losses, weights), "{encoder}: to the bit");
        }
    }
}
