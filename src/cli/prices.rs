//! `spendstream prices …`.

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Subcommands of `spendstream prices`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check it.
    Check {},
}

pub fn run(_command: Command, _config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
