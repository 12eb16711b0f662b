//! `spendstream report …`: what was spent, by whom. Each file beside this one is one report, or one thing that is done with statements and bills.

mod adjust;
mod close;
mod diff;
mod focus;
mod months;
mod reconcile;
mod statements;

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Subcommands of `spendstream report`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(flatten)]
    Months(months::Command),
    /// Export charges in the words of FOCUS 1.2, one row per charge and meter.
    Focus(focus::Args),
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Months(command) => months::run(command, config),
        Command::Focus(args) => focus::run(args, config),
    }
}
