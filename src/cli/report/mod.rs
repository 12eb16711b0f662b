//! `spendstream report …`: what was spent, by whom. Each file beside this one is one report, or one thing that is done with statements and bills;
//! `common` makes reports, here or on a server.

mod adjust;
mod chargeback;
mod close;
mod common;
mod daily;
mod diff;
mod focus;
mod months;
mod reconcile;
mod statements;
mod summary;

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// Subcommands of `spendstream report`.
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
    /// Export charges in the words of FOCUS 1.2, one row per charge and meter.
    Focus(focus::Args),
    #[command(flatten)]
    Months(months::Command),
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Summary(args) => summary::run(args, config),
        Command::Runs(args) => summary::runs(args, config),
        Command::Daily(args) => daily::run(args, config),
        Command::Monthly(args) => daily::monthly(args, config),
        Command::Chargeback(args) => chargeback::run(args, config),
        Command::Focus(args) => focus::run(args, config),
        Command::Months(command) => months::run(command, config),
    }
}
