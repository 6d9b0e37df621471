use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match croloss::cli::run(croloss::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("croloss: {error:#}");
            ExitCode::from(croloss::error::exit_status(&error))
        }
    }
}
