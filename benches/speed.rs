//! Milliseconds a training step and users a second of exact ranking, on random batches of the
//! sizes of the published data sets: `make bench`.

use std::time::Instant;

use croloss::config::{Config, Seen};
use croloss::data::Sequences;
use croloss::device;
use croloss::eval::{Query, ranks};
use croloss::random::{Purpose, stream};
use croloss::sampling::{Batches, Uniform};
use croloss::tower::{TwoTower, unit};
use croloss::train::Stepper;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

const STEPS: u64 = 30;
const WARM_UP: u64 = 3;
const USERS: i64 = 256;

fn main() {
    device::use_threads(0);
    println!("{} threads; CROLoss-Lambda, sampling included\n", tch::get_num_threads());
    println!(
        "{:>10} {:>6} {:>8} {:>12} {:>12}",
        "items", "batch", "history", "ms a step", "users/s"
    );
    for (items, batch, history) in [(54_542, 256, 20), (367_982, 256, 20), (1_708_530, 512, 50)] {
        let step = step(items, batch, history);
        let users = ranking(items as i64);
        println!("{items:>10} {batch:>6} {history:>8} {step:>12.2} {users:>12.0}");
    }
}

/// The median of some steps.
fn step(items: usize, batch: usize, history: usize) -> f64 {
    let text = format!(
        "[data]\npath = \"\"\n[tower]\nhistory = {history}\n[sampling]\nbatch = {batch}\n[loss]\nkind = \"cro-lambda\""
    );
    let config = toml::from_str::<Config>(&text).unwrap().checked().unwrap();
    let users = 4 * batch;
    let mut rng = stream(1, Purpose::Generation, 0);
    let sequences = Sequences {
        items: (0..users * (history + 1)).map(|_| rng.random_range(1..=items as u32)).collect(),
        offsets: (0..=users).map(|user| user * (history + 1)).collect(),
    };
    // Every target is the last item of its sequence: all histories have full length.
    let sampling =
        croloss::config::SamplingConfig { first_position: history, ..config.sampling.clone() };
    let count = batch * sampling.negatives_per_positive;
    let negatives = Box::new(Uniform { items, count, seed: 1 });
    let batches = Batches::new(
        &sequences,
        (0..users).collect(),
        &sampling,
        history,
        negatives,
        1,
        Device::Cpu,
    )
    .unwrap();
    let model = TwoTower::new(&config.tower, items, 1, Device::Cpu);
    let mut stepper = Stepper::new(&config, &model);
    let mut times: Vec<f64> = (0..WARM_UP + STEPS)
        .map(|at| {
            let start = Instant::now();
            let _ = stepper.step(&model, &batches.draw(at));
            1e3 * start.elapsed().as_secs_f64()
        })
        .skip(WARM_UP as usize)
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Users a second, two targets each.
fn ranking(items: i64) -> f64 {
    let vectors = |n| unit(&Tensor::randn([n, 32], (Kind::Float, Device::Cpu)));
    let (items, users) = (vectors(items), vectors(USERS));
    let queries: Vec<Query> =
        (1..=USERS as u32).map(|u| Query { history: &[], targets: vec![u, 2 * u + 1] }).collect();
    let block = croloss::eval::users_a_block(items.size()[0] as usize);
    let start = Instant::now();
    for (at, queries) in queries.chunks(block).enumerate() {
        let users = users.narrow(0, (at * block) as i64, queries.len() as i64);
        ranks(&users, &items, queries, Seen::Keep).unwrap();
    }
    USERS as f64 / start.elapsed().as_secs_f64()
}
