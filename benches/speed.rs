//! The speed of this machine, as a page of Markdown: `make bench`. Every line of the tables is a
//! process of its own, `croloss bench`, so that its memory is its own too; one alone can be
//! measured in the same way. Draws `benches/table-size.svg`. Where there is a GPU, its tables follow;
//! `make bench BENCH=gpu` measures these alone.

use std::process::Command;
use std::time::Instant;

use croloss::bench::StepBench;
use croloss::config::{DeviceChoice, OptimizerKind, Settings};
use croloss::device;
use croloss::host::simd::{Matrix, gemm, level};
use croloss::report::{Axis, Line, Panel, draw, machine};
use rayon::prelude::*;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Items, batch, history of the published data sets: Beauty, Amazon Books, Taobao.
const SIZES: [[usize; 3]; 3] = [[54_542, 256, 20], [367_982, 256, 20], [1_708_530, 512, 50]];
const DIM: usize = 32;

/// Where the tables of a GPU are measured.
const GPU: [&str; 2] = ["--device", "cuda"];

/// Where the tables of the host are measured, also beside a GPU.
const HOST: [&str; 2] = ["--device", "cpu"];

fn main() {
    let gpus = device::gpu_count();
    if !std::env::args().any(|word| word == "gpu") {
        of_host();
    }
    if gpus > 0 {
        of_gpu();
    }
}

fn of_host() {
    let threads = rayon::current_num_threads();
    tch::set_num_threads(threads as i32);
    let rates = Rates::measure();
    println!("{}, {threads} threads, commit {}\n", machine(), env!("CROLOSS_COMMIT"));
    println!(
        "Rates: copy {:.1} GB/s read plus written, products of 32-wide matrices {:.0} GFLOP/s, \
         e^x of 2.6 million floats {:.2} ms.\n",
        rates.bytes / 1e9,
        rates.products / 1e9,
        1e3 * rates.exponentials
    );
    println!(
        "| items | batch | history | deferred, ms | floor, ms | of floor | peak, MiB | dense, ms | by tensor ops, ms | operations |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for [items, batch, history] in SIZES {
        let sizes = [("items", items), ("batch", batch), ("history", history)];
        let on_host = |more: &[&str]| bench("step", &sizes, &[&HOST, more].concat());
        let fused = on_host(&["--steps", "60"]);
        let dense = on_host(&["--optimizer", "dense", "--steps", "10"]);
        let tensors = on_host(&["--tensors", "--steps", "20"]);
        let floor = 1e3 * rates.floor(batch, history);
        println!(
            "| {items} | {batch} | {history} | {:.2} | {floor:.2} | {:.1} | {} | {:.1} | {:.1} | {} |",
            number(&fused, "ms_per_step"),
            number(&fused, "ms_per_step") / floor,
            number(&fused, "peak_rss_mib"),
            number(&dense, "ms_per_step"),
            number(&tensors, "ms_per_step"),
            number(&tensors, "operations"),
        );
    }
    println!("\n| items | users | targets | users a second | floor | of floor | peak, MiB |");
    println!("|---|---|---|---|---|---|---|");
    for [items, ..] in SIZES {
        let ranking = bench("rank", &[("items", items), ("users", 2000), ("targets", 4)], &HOST);
        let floor = rates.products / (2 * DIM * items) as f64;
        let rate = number(&ranking, "users_per_second");
        println!(
            "| {items} | 2000 | 4 | {rate:.0} | {floor:.0} | {:.1} | {} |",
            floor / rate,
            number(&ranking, "peak_rss_mib")
        );
    }
    table_size();
}

/// The first GPU, on the same sizes.
fn of_gpu() {
    println!("\n{}, commit {}\n", device::gpu_name(0), env!("CROLOSS_COMMIT"));
    println!(
        "| items | batch | history | deferred, ms | replayed, ms | dense, ms | operations | peak, MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for [items, batch, history] in SIZES {
        let sizes = [("items", items), ("batch", batch), ("history", history)];
        let on_gpu = |more: &[&str]| bench("step", &sizes, &[&GPU, more].concat());
        let deferred = on_gpu(&["--steps", "200"]);
        let graph = [&GPU[..], &["--graph", "--steps", "200"]].concat();
        let replayed = measured("step", &sizes, &graph).map_err(|why| eprintln!("{why}"));
        let dense = on_gpu(&["--optimizer", "dense", "--steps", "50"]);
        println!(
            "| {items} | {batch} | {history} | {:.3} | {} | {:.3} | {} | {} |",
            number(&deferred, "ms_per_step"),
            replayed.map_or("–".into(), |own| format!("{:.3}", number(&own, "ms_per_step"))),
            number(&dense, "ms_per_step"),
            number(&deferred, "operations"),
            number(&deferred, "peak_gpu_mib"),
        );
    }
    println!("\n| step of TRON, ms | positions a second | peak, MiB |\n|---|---|---|");
    let session = bench("session-step", &[], &GPU);
    println!(
        "| {:.3} | {:.0} | {} |",
        number(&session, "ms_per_step"),
        number(&session, "positions_per_second"),
        number(&session, "peak_gpu_mib")
    );
    println!("\n| items | users | targets | users a second | peak, MiB |\n|---|---|---|---|---|");
    for [items, ..] in SIZES {
        let ranking = bench("rank", &[("items", items), ("users", 20_000), ("targets", 4)], &GPU);
        println!(
            "| {items} | 20000 | 4 | {:.0} | {} |",
            number(&ranking, "users_per_second"),
            number(&ranking, "peak_gpu_mib")
        );
    }
}

/// Runs `croloss bench WHAT --json`.
fn bench(what: &str, sizes: &[(&str, usize)], more: &[&str]) -> Value {
    measured(what, sizes, more).unwrap_or_else(|why| panic!("{why}"))
}

/// The same, or why it failed.
fn measured(what: &str, sizes: &[(&str, usize)], more: &[&str]) -> Result<Value, String> {
    let sizes = sizes.iter().map(|(name, size)| format!("--{name}={size}"));
    let output = Command::new(env!("CARGO_BIN_EXE_croloss"))
        .args(["bench", what, "--json"])
        .args(sizes)
        .args(more)
        .output()
        .expect("the program can be started");
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("one line of JSON")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().expect("a number")
}

/// What this machine can do at most.
struct Rates {
    /// Bytes a second, read plus written.
    bytes: f64,
    /// Floating-point operations a second.
    products: f64,
    /// Seconds for e^x of 2.6 million floats.
    exponentials: f64,
}

impl Rates {
    fn measure() -> Self {
        let threads = rayon::current_num_threads();
        let best = |work: &dyn Fn()| {
            let time = |_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            };
            (0..7).map(time).fold(f64::INFINITY, f64::min)
        };
        let large = Tensor::ones([64 << 20], (Kind::Float, Device::Cpu));
        let copy = large.zeros_like();
        let bytes = 2.0 * 4.0 * large.numel() as f64;
        let copy_seconds = best(&|| copy.shallow_clone().copy_(&large));
        let scores = Tensor::randn([2_621_440], (Kind::Float, Device::Cpu));
        let to = scores.zeros_like();
        let exponentials = best(&|| drop(scores.exp_out(&to)));
        const TIMES: usize = 2000;
        let products = best(&|| {
            (0..threads).into_par_iter().for_each(|_| {
                let (a, b) = ([0.5f32; 16 * DIM], [0.5f32; DIM * DIM]);
                let mut c = [0f32; 16 * DIM];
                let matrix = |at| Matrix { at, row: DIM, column: 1 };
                for _ in 0..TIMES {
                    let (a, b) = (matrix(a.as_ptr()), matrix(b.as_ptr()));
                    // SAFETY: a and c are `[16, DIM]`, b is `[DIM, DIM]`.
                    unsafe { gemm(level(), [16, DIM, DIM], a, b, c.as_mut_ptr(), DIM, false) };
                }
                std::hint::black_box(c);
            });
        });
        let operations = (threads * TIMES * 2 * 16 * DIM * DIM) as f64;
        Self { bytes: bytes / copy_seconds, products: operations / products, exponentials }
    }

    /// Seconds that a step cannot fall below at these rates: three products with the pair matrix,
    /// an exponential for each pair, and every row in use with its moments and its step read and
    /// written twice: before it is used and when it is moved.
    fn floor(&self, batch: usize, history: usize) -> f64 {
        let pairs = (batch * 10 * batch) as f64;
        let rows = (batch * (history + 1 + 10)) as f64;
        let bytes = rows * (3.0 * 4.0 * DIM as f64 + 4.0) * 2.0 * 2.0;
        3.0 * 2.0 * pairs * DIM as f64 / self.products
            + pairs / 2_621_440.0 * self.exponentials
            + bytes / self.bytes
    }
}

/// The same rows in use in larger and larger tables.
fn table_size() {
    const ROWS: [usize; 3] = [100_000, 1_000_000, 10_000_000];
    let text = "[data]\npath = \"\"\n[loss]\nkind = \"cro-lambda\"";
    let mut config = toml::from_str::<Settings>(text).unwrap().checked().unwrap();
    config.device = DeviceChoice::Cpu;
    println!("\n| rows of the table | deferred, ms | dense, ms |\n|---|---|---|");
    let mut times = [vec![], vec![]];
    for rows in ROWS {
        let mut milliseconds = |kind, steps| {
            config.optimizer.kind = kind;
            let bench = StepBench { config: &config, items: ROWS[0], rows, steps };
            bench.run().expect("the steps are taken").milliseconds
        };
        let deferred = milliseconds(OptimizerKind::DeferredAdam, 60);
        let dense = milliseconds(OptimizerKind::Adam, 6);
        println!("| {rows} | {deferred:.2} | {dense:.2} |");
        times[0].push((rows as f64, deferred));
        times[1].push((rows as f64, dense));
    }
    let [deferred, dense] = times;
    let panel = Panel {
        x: Axis::log(&ROWS.map(|rows| rows as f64)),
        x_label: "rows of the table (100,000 of them in use)".into(),
        y: Axis::log(&[1.0, 10.0, 100.0, 1000.0]),
        y_label: "milliseconds a step".into(),
        zero: None,
        lines: vec![Line::new("dense Adam", 1, dense), Line::new("deferred Adam", 0, deferred)],
    };
    let svg = draw(&[panel], "Milliseconds a step by the size of the table").expect("a figure");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/table-size.svg");
    std::fs::write(path, svg).expect("benches/ can be written");
}
