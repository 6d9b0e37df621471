//! `croloss completions` and `croloss man`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::table;

/// Print the completions of a shell
///
/// For bash, for example: croloss completions bash > ~/.local/share/bash-completion/completions/croloss
#[derive(clap::Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<()> {
        let mut text = vec![];
        clap_complete::generate(self.shell, &mut Cli::command(), "croloss", &mut text);
        std::io::stdout().write_all(&text).context("cannot write the completions")
    }
}

/// Write the manual pages, one a command, into a folder
///
/// For man to find them: croloss man ~/.local/share/man/man1
#[derive(clap::Args)]
pub struct Man {
    /// The folder, made if it is not there
    folder: PathBuf,
}

impl Man {
    pub fn run(self) -> Result<()> {
        let cannot = || format!("cannot write manual pages into {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(cannot)?;
        let command = Cli::command().name("croloss");
        clap_mangen::generate_to(command, &self.folder).with_context(cannot)?;
        table::say(format_args!("Manual pages in {}", self.folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The completions of fish put what is said of a value between such quotes, and do not escape it.
    #[test]
    fn nothing_that_is_said_of_a_value_has_double_quotes() {
        let (mut ahead, mut seen) = (vec![Cli::command()], 0);
        while let Some(command) = ahead.pop() {
            let values =
                command.get_arguments().flat_map(|argument| argument.get_possible_values());
            for said in values.filter_map(|value| value.get_help().map(ToString::to_string)) {
                assert!(!said.contains('"'), "{}: {said}", command.get_name());
                seen += 1;
            }
            ahead.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 10, "{seen}");
    }
}
