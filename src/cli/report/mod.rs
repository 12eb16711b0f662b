//! `spendstream report`: what was spent, by whom, in many forms. Each file beside this one is one report; `common` makes it, here or on a server.

mod chargeback;
mod common;
mod daily;
mod summary;

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Reports over a lake or a running server.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What calls cost, by time and any dimensions.
    Summary(summary::Args),
    /// What evaluation runs cost, by run and metric.
    Runs(summary::RunsArgs),
    /// A day at a glance: totals, by whom, what moved most.
    Daily(daily::Args),
    /// A month at a glance.
    Monthly(daily::MonthlyArgs),
    /// Who pays what for a month: by department, cost centre, team or any dimension.
    Chargeback(chargeback::Args),
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Summary(args) => summary::run(args, config),
        Command::Runs(args) => summary::runs(args, config),
        Command::Daily(args) => daily::run(args, config),
        Command::Monthly(args) => daily::monthly(args, config),
        Command::Chargeback(args) => chargeback::run(args, config),
    }
}
