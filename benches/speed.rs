//! Milliseconds a training step and users a second of exact ranking, on random data of the sizes
//! of the published data sets: `make bench`.
//!
//! One measurement alone, with the meaning of every number as printed:
//! `cargo bench --bench speed -- step ITEMS BATCH HISTORY [deferred-adam|adam] [fused|tensors]`,
//! `cargo bench --bench speed -- rank ITEMS USERS TARGETS`; THREADS=1 in the environment for one
//! thread.

use std::time::Instant;

use croloss::config::{Config, Seen};
use croloss::data::Sequences;
use croloss::device;
use croloss::eval::{Query, ranks};
use croloss::random::{Purpose, stream};
use croloss::sampling::{Batches, Uniform, ahead};
use croloss::tower::{TwoTower, unit};
use croloss::train::Stepper;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

const WARM_UP: u64 = 5;

fn main() {
    let threads = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    device::use_threads(threads);
    tch::set_num_threads(1);
    let given: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a whole number");
    match given.as_slice() {
        [] => all(),
        ["step", items, batch, history, kinds @ ..] => {
            let optimizer = kinds.first().unwrap_or(&"deferred-adam");
            let fused = kinds.get(1) != Some(&"tensors");
            let ms = Step { items: number(items), batch: number(batch), history: number(history) }
                .measure(optimizer, fused, 60);
            println!("{ms:.3} ms a step, {} MiB at most", peak());
        }
        ["rank", items, users, targets] => {
            let rate = ranking(number(items), number(users), number(targets));
            println!("{rate:.0} users a second, {} MiB at most", peak());
        }
        _ => eprintln!(
            "usage: step ITEMS BATCH HISTORY [OPTIMIZER [fused|tensors]] | rank ITEMS USERS TARGETS"
        ),
    }
}

fn all() {
    println!("{} threads; CROLoss-Lambda, sampling included\n", rayon::current_num_threads());
    println!(
        "{:>10} {:>6} {:>8} {:>12} {:>12} {:>14} {:>12}",
        "items", "batch", "history", "deferred, ms", "dense, ms", "by tensors, ms", "users/s"
    );
    for (items, batch, history) in [(54_542, 256, 20), (367_982, 256, 20), (1_708_530, 512, 50)] {
        let step = Step { items, batch, history };
        let fused = step.measure("deferred-adam", true, 40);
        let dense = step.measure("adam", true, 10);
        let tensors = step.measure("deferred-adam", false, 20);
        let users = ranking(items, 512, 4);
        println!(
            "{items:>10} {batch:>6} {history:>8} {fused:>12.2} {dense:>12.2} {tensors:>14.2} {users:>12.0}"
        );
    }
    println!("\nThe same rows in use (100,000 items) in larger and larger tables, ms a step:");
    println!("{:>10} {:>12} {:>12}", "rows", "deferred", "dense");
    for rows in [100_000, 1_000_000, 10_000_000] {
        let step = Step { items: 100_000, batch: 256, history: 20 };
        let deferred = step.in_table_of(rows, "deferred-adam", true, 40);
        let dense = step.in_table_of(rows, "adam", true, 6);
        println!("{rows:>10} {deferred:>12.2} {dense:>12.2}");
    }
}

struct Step {
    items: usize,
    batch: usize,
    history: usize,
}

impl Step {
    fn measure(&self, optimizer: &str, fused: bool, steps: u64) -> f64 {
        self.in_table_of(self.items, optimizer, fused, steps)
    }

    /// The median of some steps, whose items are among the first `self.items` of `rows`.
    fn in_table_of(&self, rows: usize, optimizer: &str, fused: bool, steps: u64) -> f64 {
        let Step { items, batch, history } = *self;
        let text = format!(
            "[data]\npath = \"\"\n[tower]\nhistory = {history}\n[sampling]\nbatch = {batch}\n[loss]\nkind = \"cro-lambda\"\n[optimizer]\nkind = \"{optimizer}\"\n[train]\nfused = {fused}"
        );
        let config = toml::from_str::<Config>(&text).unwrap().checked().unwrap();
        let users = 40 * batch;
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
        let users = (0..users).collect();
        let batches =
            Batches::new(&sequences, users, &sampling, history, negatives, 1, Device::Cpu).unwrap();
        let model = TwoTower::new(&config.tower, rows, 1, Device::Cpu);
        let mut stepper = Stepper::new(&config, &model);
        let mut times: Vec<f64> = ahead(&batches, 0..WARM_UP + steps, |next| {
            let step = |_| {
                let start = Instant::now();
                let _ = stepper.step(&model, &next());
                1e3 * start.elapsed().as_secs_f64()
            };
            (0..WARM_UP + steps).map(step).skip(WARM_UP as usize).collect()
        });
        if std::env::var_os("PROFILE").is_some() {
            for (part, ms) in stepper.profile().milliseconds() {
                println!("{:>10.3} ms a step: {part}", ms / (WARM_UP + steps) as f64);
            }
        }
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }
}

/// Users a second.
fn ranking(items: usize, users: usize, targets: usize) -> f64 {
    let mut rng = stream(1, Purpose::Generation, 0);
    let queries: Vec<Query> = (0..users)
        .map(|_| {
            let mut targets: Vec<u32> =
                (0..targets).map(|_| rng.random_range(1..=items as u32)).collect();
            targets.sort_unstable();
            targets.dedup();
            Query { history: &[], targets }
        })
        .collect();
    let vectors = |n: usize| unit(&Tensor::randn([n as i64, 32], (Kind::Float, Device::Cpu)));
    let (items, users) = (vectors(items), vectors(users));
    let start = Instant::now();
    let block = croloss::eval::users_a_block(&items);
    for (at, queries) in queries.chunks(block).enumerate() {
        let users = users.narrow(0, (at * block) as i64, queries.len() as i64);
        ranks(&users, &items, queries, Seen::Keep).unwrap();
    }
    queries.len() as f64 / start.elapsed().as_secs_f64()
}

/// The most memory this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
