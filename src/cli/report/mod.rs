//! `spendstream report …`: reports over a lake. Each file beside this one is one of them.

mod focus;

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Subcommands of `spendstream report`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Export charges in the words of FOCUS 1.2, one row per charge and meter.
    Focus(focus::Args),
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Focus(args) => focus::run(args, config),
    }
}
