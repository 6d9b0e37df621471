//! The command line: one file or folder a subcommand; a doc comment here is the help that a user
//! reads.

use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod baseline;
mod bench;
mod best;
mod choice;
mod compare;
mod completions;
mod device;
mod doctor;
mod embed;
mod evaluate;
mod export;
mod fetch;
mod generate;
mod index;
mod init;
mod known_baselines;
mod prepare;
mod progress;
mod recommend;
mod recommender;
mod report;
mod results;
mod run_progress;
mod serve;
mod sweep;
mod sweep_progress;
mod table;
mod train;
mod tune;
mod watch;

use crate::misuse;
use crate::ranks::started_beside;
use crate::train::peak_memory_mib;
use table::Told;

/// Trains the retrieval stage of recommender systems with losses that optimise Recall@N.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXITS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// On standard error tell errors and warnings alone
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Tell also by what the work is done, and what it took
    #[arg(short, long, global = true)]
    verbose: bool,
}

const EXITS: &str = "\
Exit status: 0 done, 1 failed, 2 refused before work began (a wrong call, key or value), 1 or 2 at a \
missing file, 130 stopped by Ctrl-C, 143 by SIGTERM; what was stopped can be gone on with.";

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Fetch(fetch::Fetch),
    Prepare(Box<prepare::Prepare>),
    Generate(generate::Generate),
    Train(train::Train),
    Baseline(baseline::Baseline),
    Evaluate(evaluate::Evaluate),
    Compare(compare::Compare),
    Sweep(sweep::Sweep),
    Tune(tune::Tune),
    Watch(watch::Watch),
    Report(report::Report),
    Best(best::Best),
    Export(export::Export),
    Embed(embed::Embed),
    Index(index::Index),
    Recommend(Box<recommend::Recommend>),
    Serve(serve::Serve),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(completions::Man),
}

/// Runs the subcommand that was asked for.
pub fn run(cli: Cli) -> Result<()> {
    table::tell(match (cli.quiet, cli.verbose) {
        (true, _) => Told::Least,
        (false, false) => Told::Usual,
        (false, true) => Told::Most,
    });
    let began = Instant::now();
    let done = call(cli.command);
    table::detail(format_args!(
        "{:.1} s in all, {} MiB at most",
        began.elapsed().as_secs_f64(),
        peak_memory_mib()
    ));
    done
}

fn call(command: Command) -> Result<()> {
    let several = match &command {
        Command::Sweep(_) => Some("sweep"),
        Command::Tune(_) => Some("tune"),
        _ => None,
    };
    if let (Some(name), processes @ 2..) = (several, started_beside()) {
        misuse!(
            "{processes} processes were started, and each would do all of `croloss {name}`: start one \
             (its --jobs train side by side), or train one configuration with `croloss train`"
        );
    }
    match command {
        Command::Init(command) => command.run(),
        Command::Fetch(command) => command.run(),
        Command::Prepare(command) => command.run(),
        Command::Generate(command) => command.run(),
        Command::Train(command) => command.run(),
        Command::Baseline(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Sweep(command) => command.run(),
        Command::Tune(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Best(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Embed(command) => command.run(),
        Command::Index(command) => command.run(),
        Command::Recommend(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

/// Says on standard error what went wrong.
pub fn complain(what: impl std::fmt::Display) {
    table::warn(format_args!("croloss: {what}"));
}
