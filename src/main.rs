//! The binary: parses the command line, runs it, and turns what went wrong into an exit status.

use std::panic::{catch_unwind, set_hook};
use std::process::ExitCode;

use clap::Parser;
use croloss::cli::{self, Cli};
use croloss::error::{cut, exit_status};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // libtorch's own failures (out of memory, for one) come as panics with a trace of C++.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        set_hook(Box::new(|panic| {
            let text = panic.payload_as_str().unwrap_or("no message");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let first = text.lines().next().unwrap_or_default();
            cli::complain(format_args!(
                "unexpected error: {first} ({place}; RUST_BACKTRACE=1 tells more)"
            ));
        }));
    }
    match catch_unwind(|| cli::run(cli)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            // What is wrong may be as long as what it is wrong with.
            cli::complain(format_args!("{}", cut(&format!("{error:#}"), 4000)));
            ExitCode::from(exit_status(&error))
        }
        Err(_) => ExitCode::FAILURE,
    }
}
