//! `make soak`: for many minutes what other tests do for seconds.

#[path = "../common/mod.rs"]
mod common;
mod memory;
#[allow(dead_code)] // Trainings are killed here by their sweep.
#[path = "../resume/runs.rs"]
mod runs;
#[allow(dead_code)] // Not all of it is asked for here.
#[path = "../common/server.rs"]
mod server;
mod service;
mod sweep;

use std::time::Duration;

/// How long each lasts: the variable `MINUTES`, or half an hour.
fn length() -> Duration {
    let minutes = std::env::var("MINUTES").map_or(30.0, |given| given.parse().expect("MINUTES"));
    Duration::from_secs_f64(60.0 * minutes)
}
