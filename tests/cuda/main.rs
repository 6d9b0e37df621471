//! The binary on a GPU: on those of the machine, or else on the pretended ones of
//! `tests/pretended_cuda/`. `make test-cuda` runs this suite alone.

mod alike;
mod answers;
mod around;
#[path = "../common/mod.rs"]
mod common;
mod counts;
mod dropout;
mod features;
mod fused;
mod graph;
mod kernels;
mod loading;
mod machine;
#[path = "../common/next_day.rs"]
mod next_day;
#[path = "../../src/step/tests/parts.rs"]
mod parts;
mod pretended;
mod product;
mod ranks;
#[allow(dead_code)] // Little of it is asked for here.
#[path = "../common/server.rs"]
mod server;
mod steps;
mod warm_start;
