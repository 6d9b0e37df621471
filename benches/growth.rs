//! What grows how, as a page of Markdown: preparation over rows, a training step over the catalogue,
//! ranking over users times items, stopping and going on over the table. `make growth`. Draws
//! `benches/growth.svg`. All data are generated.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use croloss::report::{Axis, Line, Panel, draw, machine};
use serde_json::Value;
use tempfile::TempDir;

/// Of Taobao's size: from 100,000 rows to 30 million.
const SCALES: [f64; 6] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];
const ITEMS: [u32; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];
const USERS: u32 = 2000;

/// What a measure came to at each size.
struct Growth {
    title: &'static str,
    size: &'static str,
    unit: &'static str,
    /// Size, and what it took.
    points: Vec<(f64, f64)>,
}

fn main() {
    println!(
        "{}, {} threads, commit {}",
        machine(),
        rayon::current_num_threads(),
        env!("CROLOSS_COMMIT")
    );
    let all = [preparation(), step(), ranking(), going_on()];
    for own in &all {
        println!(
            "\n{}\n\n| {} | {} | for a million |\n|---:|---:|---:|",
            own.title, own.size, own.unit
        );
        for (size, took) in &own.points {
            println!("| {size:.0} | {took:.3} | {:.5} |", took / size * 1e6);
        }
    }
    let svg =
        draw(&all.map(Growth::panel), "What grows how, both axes logarithmic").expect("a figure");
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/growth.svg"), svg)
        .expect("benches/ can be written");
}

impl Growth {
    fn panel(self) -> Panel {
        let ticks = |values: Vec<f64>| {
            let (low, high) = values.iter().fold((f64::INFINITY, 0.0f64), |(low, high), value| {
                (low.min(*value), high.max(*value))
            });
            let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
            Axis::log(&powers.map(|power| 10f64.powi(power)).collect::<Vec<_>>())
        };
        Panel {
            x: ticks(self.points.iter().map(|point| point.0).collect()),
            x_label: self.size.into(),
            y: ticks(self.points.iter().map(|point| point.1).collect()),
            y_label: format!("{}, {}", self.title, self.unit),
            zero: None,
            lines: vec![Line::new("", 0, self.points)],
        }
    }
}

fn preparation() -> Growth {
    let points = SCALES.map(|scale| {
        let place = TempDir::new().expect("a folder");
        let path = |name: &str| place.path().join(name).display().to_string();
        let scale = scale.to_string();
        let (raw, out) = (path("raw"), path("data"));
        croloss(&["generate", "--like", "taobao", "--scale", &scale, "--out", &raw]);
        let rows: u64 = fs::read_dir(&raw)
            .expect("the log is there")
            .map(|file| lines(&file.expect("a file").path()))
            .sum();
        (rows as f64, seconds(&["prepare", "taobao", "--raw", &raw, "--out", &out]))
    });
    let points = points.to_vec();
    Growth { title: "preparing a log like Taobao's", size: "rows of the log", unit: "s", points }
}

fn step() -> Growth {
    let of = |items: u32| {
        let own = measured(&["bench", "step", "--items", &items.to_string()]);
        (f64::from(items), number(&own, "ms_per_step"))
    };
    let points = ITEMS.map(of).to_vec();
    Growth { title: "a training step", size: "items of the catalogue", unit: "ms", points }
}

fn ranking() -> Growth {
    let of = |items: u32| {
        let users = USERS.to_string();
        let own = measured(&["bench", "rank", "--items", &items.to_string(), "--users", &users]);
        let scores = f64::from(USERS) * f64::from(items);
        (scores, f64::from(USERS) / number(&own, "users_per_second"))
    };
    let points = ITEMS.map(of).to_vec();
    Growth { title: "exact ranking", size: "users times items", unit: "s", points }
}

/// A training that has stopped: from its checkpoint over two steps and a validation to the next one.
fn going_on() -> Growth {
    let points = [10_000u32, 30_000, 100_000, 300_000, 1_000_000].map(|items| {
        let place = TempDir::new().expect("a folder");
        let path = |name: &str| place.path().join(name).display().to_string();
        let (log, data, run) = (path("log.csv"), path("data"), path("run"));
        let size = items.to_string();
        let generate = ["generate", "--preset", "small", "--users", &size, "--items", &size];
        croloss(&[&generate[..], &["--out", &log]].concat());
        let columns = ["--user", "user", "--item", "item", "--time", "time"];
        let rare = ["--min-item-count", "1", "--min-user-count", "2"];
        let prepare = ["prepare", "--input", &log, "--out", &data];
        let known = measured(&[&prepare[..], &columns, &rare].concat());
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/amazon-books.toml");
        let set = format!("data.path={data}");
        let train = |until: &str, more: &[&str]| {
            let own = ["train", config, "--out", &run, "--until", until, "--set", &set];
            let short = [
                "--set",
                "train.steps=1000",
                "--set",
                "train.validate_every=2",
                "--set",
                "train.validation_users=100",
            ];
            seconds(&[&own[..], &short, more].concat())
        };
        train("0.002", &[]);
        let took = train("0.004", &["--resume"]);
        (number(&known["dataset"]["counts"], "items"), took)
    });
    let points = points.to_vec();
    Growth {
        title: "going on to the next checkpoint",
        size: "items of the table",
        unit: "s",
        points,
    }
}

fn lines(path: &Path) -> u64 {
    let text = fs::read(path).expect("the log can be read");
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Runs the program, which must succeed.
fn croloss(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_croloss"))
        .arg("--quiet")
        .args(arguments)
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    output.stdout
}

fn seconds(arguments: &[&str]) -> f64 {
    let start = Instant::now();
    croloss(arguments);
    start.elapsed().as_secs_f64()
}

fn measured(arguments: &[&str]) -> Value {
    let said = croloss(&[arguments, &["--json"]].concat());
    serde_json::from_slice(&said).expect("it is JSON")
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().expect("it is a number")
}
