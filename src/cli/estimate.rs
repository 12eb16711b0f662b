//! `spendstream estimate`.

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Arguments of `spendstream estimate`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
