//! `croloss bench`: one file a benchmark.

use anyhow::Result;
use clap::Subcommand;

mod common;
mod rank;
mod session_step;
mod step;

use rank::Rank;
use session_step::SessionStep;
use step::Step;

/// Measure the speed of this machine on random data made on the spot
#[derive(clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Step(Step),
    SessionStep(Box<SessionStep>),
    Rank(Rank),
}

impl Bench {
    pub fn run(self) -> Result<()> {
        match self.what {
            What::Step(step) => step.run(),
            What::SessionStep(step) => step.run(),
            What::Rank(rank) => rank.run(),
        }
    }
}
