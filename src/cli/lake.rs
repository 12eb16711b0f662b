//! `spendstream lake …`.

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Subcommands of `spendstream lake`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check it.
    Check {},
}

pub fn run(_command: Command, _config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
